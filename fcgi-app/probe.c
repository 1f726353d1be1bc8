#include "probe.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static const char request[] = "GET /ready HTTP/1.0\r\n\r\n";
static const char success[] = "HTTP/1.1 200 ";

static struct sockaddr_in service_address(void)
{
    const char *port = getenv("PORT");
    return (struct sockaddr_in){
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)strtoul(port ? port : "8080", NULL, 10)),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
}

static bool ask(int fd)
{
    const struct timeval timeout = {.tv_sec = 2};
    const struct sockaddr_in address = service_address();
    char answer[sizeof(success) - 1];
    return setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) == 0 &&
           setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) == 0 &&
           connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0 &&
           send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL) == sizeof(request) - 1 &&
           recv(fd, answer, sizeof(answer), MSG_WAITALL) == sizeof(answer) &&
           memcmp(answer, success, sizeof(answer)) == 0;
}

bool probe(void)
{
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const bool ready = fd >= 0 && ask(fd);
    if (fd >= 0)
        close(fd);
    return ready;
}
