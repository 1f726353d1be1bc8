#include "reply.h"

#include "log.h"

#include <time.h>

static double now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

size_t reply(const struct settings *settings, const struct request *request,
             struct response *response, char *bytes, size_t size)
{
    const bool logged = log_shows(LOG_DEBUG);
    const double began_us = logged ? now_us() : 0;
    respond(settings, request, response);
    const size_t length = response_print(response, bytes, size);
    if (response->failure)
        log_request(LOG_ERROR, request, "%s answers 500: %s",
                    response->route ? response->route : "no route", response->failure);
    if (logged)
        log_request(LOG_DEBUG, request, "%s %s %d in %.0f us", request->method, request->target,
                    response->status, now_us() - began_us);
    return length;
}
