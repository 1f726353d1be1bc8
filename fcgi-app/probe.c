#include "probe.h"

#include "clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char request[] = "GET /ready HTTP/1.0\r\n\r\n";
static const char success[] = "HTTP/1.1 200 ";

/* 0 when it is no port. */
static uint16_t port_in(const char *digits)
{
    const size_t length = strspn(digits, "0123456789");
    const unsigned long port = strtoul(digits, NULL, 10);
    return length == 0 || digits[length] || port > UINT16_MAX ? 0 : (uint16_t)port;
}

/* By poll: gVisor does not know the timeouts of sockets of its host. */
static bool wait_for(int fd, short events, int64_t deadline_ms)
{
    struct pollfd waiting = {.fd = fd, .events = events};
    const int64_t left = deadline_ms - now_ms();
    return left > 0 && poll(&waiting, 1, (int)left) > 0;
}

/* What became of a connection that was begun: 0, or an errno. */
static int outcome_of(int fd, int64_t deadline_ms)
{
    int error = ETIMEDOUT;
    socklen_t size = sizeof(error);
    if (wait_for(fd, POLLOUT, deadline_ms) &&
        getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0)
        error = errno;
    return error;
}

/* -1 and errno when nobody listens there. */
static int connect_to(const struct sockaddr *address, socklen_t size, int64_t deadline_ms)
{
    const int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    int error = connect(fd, address, size) == 0 ? 0 : errno;
    if (error == EINPROGRESS)
        error = outcome_of(fd, deadline_ms);
    if (error == 0)
        return fd;
    close(fd);
    errno = error;
    return -1;
}

/* The error is that of IPv4: of the other one it may only be that there is none. */
static int connect_to_either(uint16_t port, int64_t deadline_ms)
{
    const struct sockaddr_in v4 = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const struct sockaddr_in6 v6 = {
        .sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int fd = connect_to((const struct sockaddr *)&v4, sizeof(v4), deadline_ms);
    const int error = errno;
    if (fd < 0)
        fd = connect_to((const struct sockaddr *)&v6, sizeof(v6), deadline_ms);
    if (fd < 0)
        errno = error;
    return fd;
}

/* NULL, or why the service is not ready. */
static const char *ask(int fd, int64_t deadline_ms)
{
    static const char late[] = "no answer within 2 s", other[] = "the answer is not 200";
    char answer[sizeof(success) - 1];
    ssize_t length = 0;
    if (send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL) < 0)
        return strerror(errno);
    for (size_t had = 0; had < sizeof(answer); had += (size_t)length) {
        if (!wait_for(fd, POLLIN, deadline_ms))
            return late;
        length = recv(fd, answer + had, sizeof(answer) - had, 0);
        if (length <= 0)
            return length < 0 ? strerror(errno) : other;
    }
    return memcmp(answer, success, sizeof(answer)) == 0 ? NULL : other;
}

bool probe(void)
{
    const char *set = getenv("PORT");
    const uint16_t port = port_in(set ? set : "8080");
    if (port == 0) {
        fprintf(stderr, "responder: PORT=\"%s\": must be a number from 1 to 65535\n", set);
        return false;
    }
    const int64_t deadline_ms = now_ms() + 2000;
    const int fd = connect_to_either(port, deadline_ms);
    const char *why_not = fd < 0 ? strerror(errno) : ask(fd, deadline_ms);
    if (why_not)
        fprintf(stderr, "responder: not ready at localhost:%d: %s\n", port, why_not);
    if (fd >= 0)
        close(fd);
    return !why_not;
}
