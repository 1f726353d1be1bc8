/*
 * System calls that the kernel refuses, and answers of any size, for the responder with faults: put
 * there by the linker (--wrap).
 *
 *   REFUSE=accept4    this one fails, with errno ERRNO, for TIMES calls (0: always), after so many
 *                     as AFTER says, in each process; of epoll_ctl it is EPOLL_CTL_ADD, DEL or MOD.
 *                     A process to which it is refused ever so often says so
 *   SLOW=30              a worker takes so many milliseconds more to start
 *   SEND=1            a byte at a time is sent on a connection
 *   BUFFER=4096       of what is sent on an accepted connection, in bytes
 *   /health?size=70000   so many bytes of body
 *   /health?status=303   that status, fields of a handler's own, and the clock
 *   /health?hash         FNV-1a of the body that came
 *   /health?fail=fields  one of the ways to an answer that cannot be put together
 */
#include "clock.h"
#include "core/handler.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { OFTEN = 100 }; /* more than there are tries in a test */

static int number_of(const char *variable)
{
    const char *value = getenv(variable);
    return value ? (int)strtol(value, NULL, 10) : 0;
}

static bool is_refused(const char *call)
{
    static const char often[] = "refused ever so often\n";
    static int calls;
    const char *refused = getenv("REFUSE");
    if (!refused || strcmp(refused, call) != 0)
        return false;
    const int earlier = calls++ - number_of("AFTER"), times = number_of("TIMES");
    if (earlier < 0 || (times > 0 && earlier >= times))
        return false;
    if (earlier == OFTEN && write(STDERR_FILENO, often, sizeof(often) - 1) < 0)
        abort();
    errno = number_of("ERRNO");
    return true;
}

/* The call as the linker has it, and one that is refused where that was asked for. */
#define REFUSABLE(type, name, parameters, arguments, failed, called)                               \
    type __real_##name parameters;                                                                 \
    type __wrap_##name parameters;                                                                 \
    type __wrap_##name parameters                                                                  \
    {                                                                                              \
        return is_refused(called) ? (failed) : __real_##name arguments;                            \
    }

static const char *name_of(int operation)
{
    static const char *const names[] = {[EPOLL_CTL_ADD] = "EPOLL_CTL_ADD",
                                        [EPOLL_CTL_DEL] = "EPOLL_CTL_DEL",
                                        [EPOLL_CTL_MOD] = "EPOLL_CTL_MOD"};
    return names[operation];
}

REFUSABLE(int, signalfd, (int fd, const sigset_t *signals, int flags), (fd, signals, flags), -1,
          "signalfd")
REFUSABLE(int, epoll_create1, (int flags), (flags), -1, "epoll_create1")
REFUSABLE(int, epoll_wait, (int epoll, struct epoll_event *events, int most, int ms),
          (epoll, events, most, ms), -1, "epoll_wait")
REFUSABLE(int, epoll_ctl, (int epoll, int operation, int fd, struct epoll_event *event),
          (epoll, operation, fd, event), -1, name_of(operation))
REFUSABLE(ssize_t, read, (int fd, void *bytes, size_t size), (fd, bytes, size), -1, "read")
REFUSABLE(ssize_t, recvmsg, (int fd, struct msghdr *message, int flags), (fd, message, flags), -1,
          "recvmsg")
REFUSABLE(ssize_t, send, (int fd, const void *bytes, size_t size, int flags),
          (fd, bytes, number_of("SEND") > 0 ? 1 : size, flags), -1, "send")
REFUSABLE(void *, malloc, (size_t size), (size), NULL, "malloc")
REFUSABLE(pid_t, fork, (void), (), -1, "fork")
REFUSABLE(int, kill, (pid_t pid, int number), (pid, number), -1, "kill")
REFUSABLE(pid_t, wait4, (pid_t pid, int *status, int options, struct rusage *used),
          (pid, status, options, used), -1, "wait4")
REFUSABLE(int, sigtimedwait,
          (const sigset_t *signals, siginfo_t *info, const struct timespec *timeout),
          (signals, info, timeout), -1, "sigtimedwait")

int __real_accept4(int fd, struct sockaddr *address, socklen_t *length, int flags);
int __wrap_accept4(int fd, struct sockaddr *address, socklen_t *length, int flags);
int __real_memfd_create(const char *name, unsigned flags);
int __wrap_memfd_create(const char *name, unsigned flags);
void __real_health(const struct context *context, struct response *response);
void __wrap_health(const struct context *context, struct response *response);

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

static void tell(int status, const struct request *request, struct response *response)
{
    char now[32];
    snprintf(now, sizeof(now), "%lld", (long long)request->now_ms);
    response->status = status;
    response_add_field(response, "Location", "/greetings/Ada");
    response_add_field(response, "Set-Cookie", "a=1");
    response_add_field(response, "Set-Cookie", "b=2; HttpOnly");
    response_add_field(response, "X-Now", now);
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
    const char *status = strstr(context->request->target, "?status=");
    __real_health(context, response);
    if (status)
        tell((int)strtol(status + strlen("?status="), NULL, 10), context->request, response);
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
