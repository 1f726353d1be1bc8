/* Asks a server on 127.0.0.1 for / at a fixed rate, whatever it answers (an open loop): request
 * number i is due i/RATE seconds after the start, is sent on a connection that is idle then or the
 * next to be, and its latency runs from when it was due. A server that stops for a while gets the
 * latency of all that were due meanwhile (coordinated omission).
 *
 * usage: openloop PORT RATE SECONDS CONNECTIONS
 *
 * Prints a line of JSON, times in microseconds: {"sent", "errors", "p50", "p99", "p999"}. What is
 * no answer within a second of the end is an error, of that latency. */
#include <arpa/inet.h>
#include <err.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 1000, ANSWER_MAX = 4096, GRACE_NS = 1000000000 };

static const char request[] = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
static const char good[] = "HTTP/1.1 200 OK\r\n", end[] = "\r\n\r\nHello World\n";
static const char last[] = "\r\nConnection: close\r\n"; /* nginx's, after 1000 requests */

static struct connection {
    int fd;
    long number; /* of the request that it is asked, -1: idle */
    size_t length;
    char answer[ANSWER_MAX];
} connections[CONNECTIONS_MAX];

static struct sockaddr_in server = {.sin_family = AF_INET};
static int poller, idle[CONNECTIONS_MAX], idle_count;
static long started, rate, requests, sent, answered, errors;
static long *latencies; /* of each request */

static long now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000L + time.tv_nsec;
}

static long due(long number)
{
    return started + number * 1000000000L / rate;
}

static void open_connection(int i)
{
    struct connection *connection = &connections[i];
    connection->fd = socket(AF_INET, SOCK_STREAM, 0);
    const int yes = 1;
    setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
    if (connect(connection->fd, (struct sockaddr *)&server, sizeof(server)) != 0)
        err(1, "connect");
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = (unsigned)i};
    epoll_ctl(poller, EPOLL_CTL_ADD, connection->fd, &event);
    connection->number = -1;
    idle[idle_count++] = i;
}

static void send_due(void)
{
    for (; idle_count > 0 && sent < requests && due(sent) <= now(); sent++) {
        struct connection *connection = &connections[idle[--idle_count]];
        connection->number = sent;
        connection->length = 0;
        if (send(connection->fd, request, sizeof(request) - 1, MSG_NOSIGNAL) < 0)
            latencies[sent] = -1; /* the end of the connection is told below */
    }
}

static bool answer_has(const struct connection *connection, const char *text)
{
    return memmem(connection->answer, connection->length, text, strlen(text));
}

static void finish(int i, bool is_good)
{
    struct connection *connection = &connections[i];
    if (connection->number >= 0) {
        latencies[connection->number] = now() - due(connection->number);
        answered++;
        errors += !is_good;
    }
    connection->number = -1;
    if (is_good && !answer_has(connection, last)) {
        idle[idle_count++] = i;
        return;
    }
    close(connection->fd);
    open_connection(i);
}

static void receive(int i)
{
    struct connection *connection = &connections[i];
    const ssize_t got = recv(connection->fd, connection->answer + connection->length,
                             sizeof(connection->answer) - connection->length, 0);
    if (got <= 0) {
        finish(i, false);
        return;
    }
    connection->length += (size_t)got;
    if (connection->length == sizeof(connection->answer))
        finish(i, false);
    else if (answer_has(connection, end))
        finish(i, memcmp(connection->answer, good, sizeof(good) - 1) == 0);
}

/* Without sleeping: the load has a CPU of its own, and a timer is late by more than an answer
 * takes. */
static void run(void)
{
    const long over = due(requests) + GRACE_NS;
    while (answered < requests && now() < over) {
        send_due();
        struct epoll_event events[64];
        const int count = epoll_wait(poller, events, 64, 0);
        for (int i = 0; i < count; i++)
            receive((int)events[i].data.u32);
    }
}

static int compare(const void *a, const void *b)
{
    const long left = *(const long *)a, right = *(const long *)b;
    return (left > right) - (left < right);
}

static void print(void)
{
    for (long i = 0; i < requests; i++)
        if (latencies[i] < 0)
            latencies[i] = now() - due(i);
    qsort(latencies, (size_t)requests, sizeof(*latencies), compare);
    printf("{\"sent\": %ld, \"errors\": %ld, \"p50\": %ld, \"p99\": %ld, \"p999\": %ld}\n", sent,
           errors + requests - answered, latencies[requests / 2] / 1000,
           latencies[requests * 99 / 100] / 1000, latencies[requests * 999 / 1000] / 1000);
}

int main(int argc, char **argv)
{
    if (argc != 5)
        errx(2, "usage: openloop PORT RATE SECONDS CONNECTIONS");
    server.sin_port = htons((uint16_t)atoi(argv[1]));
    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    rate = atol(argv[2]);
    requests = rate * atol(argv[3]);
    const int count = atoi(argv[4]);
    if (requests < 1 || count < 1 || count > CONNECTIONS_MAX)
        errx(2, "RATE and SECONDS are at least 1, CONNECTIONS 1 to %d", CONNECTIONS_MAX);
    latencies = malloc((size_t)requests * sizeof(*latencies));
    if (!latencies)
        err(1, "malloc");
    memset(latencies, 0xff, (size_t)requests * sizeof(*latencies));
    poller = epoll_create1(0);
    for (int i = 0; i < count; i++)
        open_connection(i);
    started = now();
    run();
    print();
    return 0;
}
