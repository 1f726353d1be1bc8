#include "reply.h"

#include "clock.h"
#include "log.h"

/* A target may be longer than a line of the log, which would cut the reason. */
size_t reply_print(const struct request *request, const struct response *response, char *bytes,
                   size_t size)
{
    if (response->status == 500)
        log_request(LOG_ERROR, request, "%.255s answers 500: %s",
                    response->route ? response->route->path : request->target, response->failure);
    return response_print(response, bytes, size);
}

size_t reply(const struct settings *settings, const struct request *request,
             struct response *response, char *bytes, size_t size)
{
    const bool logged = log_shows(LOG_DEBUG);
    const int64_t began_ns = logged ? now_ns() : 0;
    respond(settings, request, response);
    if (response->deferred)
        return 0;
    const size_t length = reply_print(request, response, bytes, size);
    if (logged)
        log_request(LOG_DEBUG, request, "%s %s %d in %lld us", request->method, request->target,
                    response->status, (long long)(now_ns() - began_ns) / 1000);
    return length;
}
