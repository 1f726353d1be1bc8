#include "core/respond.h"
#include "environment.h"
#include "log.h"
#include "record.h"
#include "service.h"

#include <errno.h>
#include <fastcgi.h>
#include <fcgiapp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

enum {
    CONNECTIONS_MAX = 1024, /* of one worker; Cloud Run sends an instance at most 1000 requests */
    EVENTS_MAX = 64,        /* taken from the kernel at once */
    AHEAD_SIZE = 64 * 1024, /* of a request is waited for without blocking; nginx sends less */
    IO_TIMEOUT_S = 2,      /* for the rest of a larger request, and for a peer to take its answer */
    ACCEPT_PAUSE_MS = 100, /* when descriptors or memory ran out */
    DRAIN_MS = 1000,       /* for requests that have arrived in part when the service stops */
};

enum stop { STOP_NO, STOP_DRAIN, STOP_NOW };

struct connection {
    FCGX_Request fcgi;
    struct connection *next_free;
    bool open;
    bool answered; /* the last thing that happened was an answer: idle, nothing has arrived */
};

struct worker {
    const struct settings *settings;
    const struct shared *shared;
    int epoll, signals;
    bool accepting; /* the listening socket is in the epoll set */
    enum stop stop;
    unsigned open;
    struct connection *free;
    struct connection connections[CONNECTIONS_MAX];
    struct response response;
    char printed[RESPONSE_MAX];
    uint8_t ahead[AHEAD_SIZE];
};

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool watch(const struct worker *worker, int fd, uint32_t events, void *data)
{
    struct epoll_event event = {.events = events, .data.ptr = data};
    return epoll_ctl(worker->epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

/* EPOLLEXCLUSIVE: a connection wakes one of the workers that wait, not all of them. */
static void start_accepting(struct worker *worker)
{
    worker->accepting = watch(worker, FCGI_LISTENSOCK_FILENO, EPOLLIN | EPOLLEXCLUSIVE, NULL);
}

/* New connections then wait in the listening socket's backlog, or go to another worker. */
static void stop_accepting(struct worker *worker)
{
    epoll_ctl(worker->epoll, EPOLL_CTL_DEL, FCGI_LISTENSOCK_FILENO, NULL);
    worker->accepting = false;
}

static void close_connection(struct worker *worker, struct connection *connection)
{
    FCGX_Free(&connection->fcgi, 1);
    connection->open = false;
    connection->next_free = worker->free;
    worker->free = connection;
    worker->open--;
}

/*
 * Gives libfcgi a connection that it did not accept itself. Its own accept would wait up to 2 s
 * for the first byte, with every other connection of this worker waiting too. ipcFd and
 * keepConnection are what FCGX_Accept_r finds after it has answered a request on a kept
 * connection; FCGX_Detach makes it close without lingering for the peer.
 */
static void adopt(struct connection *connection, int fd)
{
    FCGX_InitRequest(&connection->fcgi, -1, 0);
    connection->fcgi.ipcFd = fd;
    connection->fcgi.keepConnection = 1;
    FCGX_Detach(&connection->fcgi);
}

static void accept_connection(struct worker *worker)
{
    const int fd = accept4(FCGI_LISTENSOCK_FILENO, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0) {
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
            stop_accepting(worker);
        return;
    }
    const struct timeval timeout = {.tv_sec = IO_TIMEOUT_S};
    struct connection *connection = worker->free;
    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) < 0 ||
        !watch(worker, fd, EPOLLIN | EPOLLET, connection)) {
        close(fd);
        return;
    }
    worker->free = connection->next_free;
    adopt(connection, fd);
    connection->open = true;
    connection->answered = false;
    if (++worker->open == CONNECTIONS_MAX)
        stop_accepting(worker);
}

/* Reads the request's body away, since libfcgi would take the rest of it for the next request. */
static size_t drain_body(FCGX_Stream *in)
{
    char bytes[4096];
    size_t length = 0;
    int count;
    while (length <= BODY_MAX && (count = FCGX_GetStr(bytes, sizeof(bytes), in)) > 0)
        length += (size_t)count;
    return length > BODY_MAX ? BODY_MAX + 1 : length;
}

/* Answers the request that has arrived. false when the connection is of no use any more. */
static bool answer(struct worker *worker, FCGX_Request *fcgi)
{
    if (FCGX_Accept_r(fcgi) < 0)
        return false;
    struct request request = request_from(fcgi->envp);
    request.body_length = drain_body(fcgi->in);
    if (FCGX_GetError(fcgi->in) != 0)
        return false;
    request.draining = worker->stop != STOP_NO || atomic_load(&worker->shared->draining);
    respond(worker->settings, &request, &worker->response);
    const size_t length =
        response_print(&worker->response, worker->printed, sizeof(worker->printed));
    FCGX_PutStr(worker->printed, (int)length, fcgi->out);
    log_line(LOG_DEBUG, "%s %s %d", request.method, request.target, worker->response.status);
    FCGX_Finish_r(fcgi);
    return fcgi->ipcFd >= 0 && request.body_length <= BODY_MAX;
}

static bool answer_management(struct worker *worker, int fd, size_t length)
{
    uint8_t reply[MANAGEMENT_SIZE];
    const size_t size = management_answer(
        worker->ahead, (unsigned)worker->settings->workers * CONNECTIONS_MAX, reply);
    return recv(fd, worker->ahead, length, 0) == (ssize_t)length &&
           send(fd, reply, size, MSG_NOSIGNAL) == (ssize_t)size;
}

/*
 * Serves what has arrived on a connection. Looking ahead first, so that libfcgi, which blocks, is
 * only called when the whole request is there (or is larger than what is looked at).
 */
static void serve(struct worker *worker, struct connection *connection)
{
    const int fd = connection->fcgi.ipcFd;
    for (;;) {
        size_t used = 0;
        const ssize_t length =
            recv(fd, worker->ahead, sizeof(worker->ahead), MSG_PEEK | MSG_DONTWAIT);
        if (length < 0 && errno == EAGAIN)
            return;
        enum arrival arrival =
            length > 0 ? record_scan(worker->ahead, (size_t)length, &used) : ARRIVAL_INVALID;
        if (arrival == ARRIVAL_PARTIAL && length == AHEAD_SIZE)
            arrival = ARRIVAL_REQUEST;
        connection->answered = arrival == ARRIVAL_REQUEST;
        if (arrival == ARRIVAL_PARTIAL)
            return;
        if (arrival == ARRIVAL_MANAGEMENT && answer_management(worker, fd, used))
            continue;
        /* libfcgi drops what came behind the request, so that it can only be refused by closing. */
        if (arrival != ARRIVAL_REQUEST || !answer(worker, &connection->fcgi) ||
            (used > 0 && used < (size_t)length))
            close_connection(worker, connection);
        return;
    }
}

static void take_signal(struct worker *worker)
{
    struct signalfd_siginfo info;
    if (read(worker->signals, &info, sizeof(info)) == sizeof(info))
        worker->stop = info.ssi_signo == SIGQUIT ? STOP_NOW : STOP_DRAIN;
}

/* Waits for events and handles them. Returns how many there were. */
static int turn(struct worker *worker, int timeout_ms)
{
    struct epoll_event events[EVENTS_MAX];
    const int count = epoll_wait(worker->epoll, events, EVENTS_MAX, timeout_ms);
    for (int i = 0; i < count; i++) {
        void *data = events[i].data.ptr;
        if (data == worker)
            take_signal(worker);
        else if (!data)
            accept_connection(worker);
        else
            serve(worker, data);
    }
    if (!worker->accepting && worker->open < CONNECTIONS_MAX)
        start_accepting(worker);
    return count;
}

/* Kept connections without a request on them. A connection that has sent nothing yet, or only a
 * part, is not idle: its request is under way. */
static void close_idle(struct worker *worker)
{
    for (int i = 0; i < CONNECTIONS_MAX; i++)
        if (worker->connections[i].open && worker->connections[i].answered)
            close_connection(worker, &worker->connections[i]);
}

/* Answers what has arrived and what waits in the backlog; then leaves, once nothing is under way
 * or the time is up. */
static void drain(struct worker *worker)
{
    const int64_t deadline = now_ms() + DRAIN_MS;
    int64_t left;
    while (worker->stop == STOP_DRAIN && (left = deadline - now_ms()) > 0) {
        if (turn(worker, 0) > 0)
            continue;
        close_idle(worker);
        if (worker->open == 0)
            return;
        turn(worker, (int)left);
    }
}

static bool worker_init(struct worker *worker)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGQUIT);
    worker->epoll = epoll_create1(EPOLL_CLOEXEC);
    worker->signals = signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
    for (int i = CONNECTIONS_MAX - 1; i >= 0; i--) {
        worker->connections[i].next_free = worker->free;
        worker->free = &worker->connections[i];
    }
    start_accepting(worker);
    return worker->accepting && watch(worker, worker->signals, EPOLLIN, worker);
}

int worker_run(const struct settings *settings, const struct shared *shared)
{
    struct worker *worker = calloc(1, sizeof(*worker));
    if (!worker)
        return EX_OSERR;
    worker->settings = settings;
    worker->shared = shared;
    if (!worker_init(worker)) {
        log_line(LOG_ERROR, "cannot wait for connections: %s", strerror(errno));
        free(worker);
        return EX_OSERR;
    }
    while (worker->stop == STOP_NO)
        turn(worker, worker->accepting ? -1 : ACCEPT_PAUSE_MS);
    drain(worker);
    free(worker);
    return EX_OK;
}
