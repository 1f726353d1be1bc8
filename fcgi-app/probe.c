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

/* NULL, or why the service is not ready. */
static const char *ask(int fd, uint16_t port)
{
    const struct timeval timeout = {.tv_sec = 2};
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    char answer[sizeof(success) - 1];
    if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) < 0 ||
        connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
        send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL) < 0)
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
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const char *why_not = fd < 0 ? strerror(errno) : ask(fd, port);
    if (why_not)
        fprintf(stderr, "responder: not ready at 127.0.0.1:%d: %s\n", port, why_not);
    if (fd >= 0)
        close(fd);
    return !why_not;
}
