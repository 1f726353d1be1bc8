#include "probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
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

/* -1 and errno when nobody listens there. */
static int connect_to(const struct sockaddr *address, socklen_t size)
{
    const struct timeval timeout = {.tv_sec = 2};
    const int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) == 0 &&
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) == 0 &&
        connect(fd, address, size) == 0)
        return fd;
    const int error = errno;
    close(fd);
    errno = error;
    return -1;
}

/* A machine may have just one of the two. */
static int connect_to_either(uint16_t port)
{
    const struct sockaddr_in v4 = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const struct sockaddr_in6 v6 = {
        .sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    const int fd = connect_to((const struct sockaddr *)&v4, sizeof(v4));
    return fd >= 0 ? fd : connect_to((const struct sockaddr *)&v6, sizeof(v6));
}

/* NULL, or why the service is not ready. */
static const char *ask(int fd)
{
    char answer[sizeof(success) - 1];
    if (send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL) < 0)
        return strerror(errno);
    const ssize_t length = recv(fd, answer, sizeof(answer), MSG_WAITALL);
    if (length < 0)
        return errno == EAGAIN ? "no answer within 2 s" : strerror(errno);
    if (length < (ssize_t)sizeof(answer) || memcmp(answer, success, sizeof(answer)) != 0)
        return "the answer is not 200";
    return NULL;
}

bool probe(void)
{
    const char *set = getenv("PORT");
    const uint16_t port = port_in(set ? set : "8080");
    if (port == 0) {
        fprintf(stderr, "responder: PORT=\"%s\": must be a number from 1 to 65535\n", set);
        return false;
    }
    const int fd = connect_to_either(port);
    const char *why_not = fd < 0 ? strerror(errno) : ask(fd);
    if (why_not)
        fprintf(stderr, "responder: not ready at localhost:%d: %s\n", port, why_not);
    if (fd >= 0)
        close(fd);
    return !why_not;
}
