/*
 * System calls that the kernel refuses, and answers of any size, for the responder with faults: put
 * there by the linker (--wrap).
 *
 *   REFUSE=accept4    this one fails, with errno ERRNO, for TIMES calls (0: always)
 *   SLOW=30              a worker takes so many milliseconds more to start
 *   BUFFER=4096       of what is sent on an accepted connection, in bytes
 *   /health?size=70000   so many bytes of body
 *   /health?hash         FNV-1a of the body that came
 *   /health?fail=fields  one of the ways to an answer that cannot be put together
 */
#include "clock.h"
#include "core/handler.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

int __real_accept4(int fd, struct sockaddr *address, socklen_t *length, int flags);
int __wrap_accept4(int fd, struct sockaddr *address, socklen_t *length, int flags);
int __real_memfd_create(const char *name, unsigned flags);
int __wrap_memfd_create(const char *name, unsigned flags);
int __real_signalfd(int fd, const sigset_t *signals, int flags);
int __wrap_signalfd(int fd, const sigset_t *signals, int flags);
int __real_epoll_create1(int flags);
int __wrap_epoll_create1(int flags);
void __real_health(const struct context *context, struct response *response);
void __wrap_health(const struct context *context, struct response *response);

static int number_of(const char *variable)
{
    const char *value = getenv(variable);
    return value ? (int)strtol(value, NULL, 10) : 0;
}

static bool is_refused(const char *call)
{
    static int times;
    const char *refused = getenv("REFUSE");
    if (!refused || strcmp(refused, call) != 0)
        return false;
    if (number_of("TIMES") > 0 && times++ >= number_of("TIMES"))
        return false;
    errno = number_of("ERRNO");
    return true;
}

int __wrap_accept4(int fd, struct sockaddr *address, socklen_t *length, int flags)
{
    if (is_refused("accept4"))
        return -1;
    const int accepted = __real_accept4(fd, address, length, flags);
    const int size = number_of("BUFFER") / 2; /* the kernel doubles it */
    if (accepted >= 0 && size > 0)
        setsockopt(accepted, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    return accepted;
}

int __wrap_memfd_create(const char *name, unsigned flags)
{
    const int64_t ready_ms = now_ms() + number_of("SLOW"); /* the sandbox lets nobody sleep */
    while (now_ms() < ready_ms)
        ;
    return is_refused("memfd_create") ? -1 : __real_memfd_create(name, flags);
}

int __wrap_signalfd(int fd, const sigset_t *signals, int flags)
{
    return is_refused("signalfd") ? -1 : __real_signalfd(fd, signals, flags);
}

int __wrap_epoll_create1(int flags)
{
    return is_refused("epoll_create1") ? -1 : __real_epoll_create1(flags);
}

static void fail(const char *way, const struct context *context, struct response *response)
{
    if (strcmp(way, "malformed") == 0)
        response_add_field(response, "X", "a\r\nb");
    else if (strcmp(way, "own") == 0)
        response_add_field(response, "Status", "200");
    else if (strcmp(way, "said") == 0)
        problem(context, response, 500, "It does not work.");
    while (strcmp(way, "fields") == 0 && !response->fields.overflowed)
        response_add_field(response, "X", "a");
}

static void tell_body(const struct request *request, struct response *response)
{
    uint32_t hash = 2166136261;
    for (size_t i = 0; i < request->body_length; i++)
        hash = (hash ^ (uint8_t)request->body[i]) * 16777619;
    response->body = text_in(response->body_bytes, RESPONSE_BODY_MAX);
    text_add_number(&response->body, hash);
}

/* Bytes that say where they are. */
void __wrap_health(const struct context *context, struct response *response)
{
    const char *size = strstr(context->request->target, "?size=");
    const char *way = strstr(context->request->target, "?fail=");
    __real_health(context, response);
    if (strstr(context->request->target, "?hash"))
        tell_body(context->request, response);
    if (way)
        fail(way + strlen("?fail="), context, response);
    if (!size)
        return;
    const unsigned long length = strtoul(size + strlen("?size="), NULL, 10);
    response->body = text_in(response->body_bytes, RESPONSE_BODY_MAX);
    for (unsigned long i = 0; i < length; i++)
        text_add(&response->body, (char[]){(char)('a' + i % 23), '\0'});
}
