#include "reply.h"

#include "clock.h"
#include "log.h"

size_t reply(const struct settings *settings, const struct request *request,
             struct response *response, char *bytes, size_t size)
{
    const bool logged = log_shows(LOG_DEBUG);
    const int64_t began_ns = logged ? now_ns() : 0;
    respond(settings, request, response);
    if (response->deferred)
        return 0;
    const size_t length = response_print(response, bytes, size);
    if (response->failure)
        log_request(LOG_ERROR, request, "%s answers 500: %s",
                    response->route ? response->route->path : "no route", response->failure);
    if (logged)
        log_request(LOG_DEBUG, request, "%s %s %d in %lld us", request->method, request->target,
                    response->status, (long long)(now_ns() - began_ns) / 1000);
    return length;
}
