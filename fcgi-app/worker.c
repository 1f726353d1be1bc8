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
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

enum {
    CONNECTIONS_MAX = 1024, /* of one worker; Cloud Run sends an instance at most 1000 requests */
    EVENTS_MAX = 64,        /* taken from the kernel at once */
    READ_SIZE = 64 * 1024,  /* read from a connection at once; nginx sends less */
    STALL_MS = 5000,        /* without a byte of the rest of a request, which nginx sends at once */
    ACCEPT_PAUSE_MS = 100,  /* when descriptors or memory ran out */
    DRAIN_MS = 1000,        /* for requests that have arrived in part when the service stops */
};

enum stop { STOP_NO, STOP_DRAIN, STOP_NOW };

struct connection {
    int fd; /* -1: none */
    struct connection *next_free;
    bool answered;    /* the last thing that happened was an answer: idle, nothing has arrived */
    int64_t stall_ms; /* when the rest of a request is too late, 0: nothing is to come */
    struct incoming incoming;
};

struct worker {
    const struct settings *settings;
    struct shared *shared;
    struct slot *slot;
    int epoll, signals;
    bool accepting;    /* the listening socket is in the epoll set */
    int64_t accept_ms; /* when to try again, if it is not */
    int64_t stall_ms;  /* the first of the connections', or before it; 0: none */
    enum stop stop;
    unsigned open;
    struct connection *free;
    struct connection connections[CONNECTIONS_MAX];
    FCGX_Request fcgi;
    int handover; /* a file in memory, from which libfcgi reads requests */
    uint8_t *end; /* of the file, which is mapped */
    struct response response;
    char printed[RESPONSE_MAX];
    uint8_t read[READ_SIZE];
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
    if (connection->fd >= 0)
        close(connection->fd);
    connection->fd = -1;
    incoming_reset(&connection->incoming);
    connection->next_free = worker->free;
    worker->free = connection;
    worker->open--;
}

/* Does not block, and neither do its connections: a peer that takes no more of its answers, or
 * sends only half a request, is none of the others' business. */
static void accept_connection(struct worker *worker)
{
    const int fd = accept4(FCGI_LISTENSOCK_FILENO, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
            stop_accepting(worker);
        worker->accept_ms = now_ms() + ACCEPT_PAUSE_MS;
        return;
    }
    struct connection *connection = worker->free;
    if (!watch(worker, fd, EPOLLIN, connection)) {
        close(fd);
        return;
    }
    worker->free = connection->next_free;
    connection->fd = fd;
    connection->answered = false;
    connection->stall_ms = 0;
    if (++worker->open == CONNECTIONS_MAX)
        stop_accepting(worker);
}

/*
 * Lets libfcgi read a request that has arrived. It reads from a descriptor, and gets one at whose
 * end the request lies. That it refuses what incoming_take let pass does not happen; it would
 * have closed the descriptor.
 */
static void hand_over(struct worker *worker, const struct incoming *incoming)
{
    FCGX_Request *fcgi = &worker->fcgi;
    const size_t size = incoming_print(incoming, worker->end);
    fcgi->ipcFd = worker->handover;
    fcgi->keepConnection = 1;
    if (lseek(worker->handover, -(off_t)size, SEEK_END) < 0 || FCGX_Accept_r(fcgi) < 0) {
        log_line(LOG_ERROR, "libfcgi does not accept a request of %zu bytes", size);
        exit(EX_SOFTWARE);
    }
}

/* Answers the request that has arrived. false when the connection is of no use any more. */
static bool answer(struct worker *worker, struct connection *connection)
{
    FCGX_Request *fcgi = &worker->fcgi;
    hand_over(worker, &connection->incoming);
    struct request request = request_from(fcgi->envp);
    request.body_length = connection->incoming.body_length;
    request.draining = worker->stop != STOP_NO || atomic_load(&worker->shared->draining);
    respond(worker->settings, &request, &worker->response);
    const size_t length =
        response_print(&worker->response, worker->printed, sizeof(worker->printed));
    fcgi->ipcFd = connection->fd;
    FCGX_Detach(fcgi); /* should it close: without waiting for the peer to do so first */
    FCGX_PutStr(worker->printed, (int)length, fcgi->out);
    log_line(LOG_DEBUG, "%s %s %d", request.method, request.target, worker->response.status);
    FCGX_Finish_r(fcgi);
    connection->fd = fcgi->ipcFd;
    connection->answered = true;
    connection->stall_ms = 0;
    const bool whole = request.body_length <= BODY_MAX;
    incoming_reset(&connection->incoming);
    return connection->fd >= 0 && whole;
}

static bool send_all(const struct connection *connection, const uint8_t *bytes, size_t size)
{
    return send(connection->fd, bytes, size, MSG_NOSIGNAL) == (ssize_t)size;
}

static bool answer_management(struct worker *worker, struct connection *connection)
{
    uint8_t reply[MANAGEMENT_SIZE];
    const size_t size = management_answer(
        connection->incoming.kept, (unsigned)worker->settings->workers * CONNECTIONS_MAX, reply);
    incoming_reset(&connection->incoming);
    connection->stall_ms = 0;
    return send_all(connection, reply, size);
}

static bool refuse_multiplexed(const struct connection *connection)
{
    uint8_t reply[REFUSAL_SIZE];
    multiplexed_answer(&connection->incoming, reply);
    return send_all(connection, reply, sizeof(reply));
}

static void expect_rest(struct worker *worker, struct connection *connection)
{
    connection->stall_ms = now_ms() + STALL_MS;
    if (worker->stall_ms == 0)
        worker->stall_ms = connection->stall_ms;
}

/* Serves what has been read from a connection. false when it is of no use any more, as it is
 * behind a request that the web server did not wait to be answered before it sent another. */
static bool serve(struct worker *worker, struct connection *connection, size_t length)
{
    size_t used;
    connection->answered = false;
    for (size_t at = 0; at < length; at += used) {
        struct incoming *incoming = &connection->incoming;
        switch (incoming_take(incoming, worker->read + at, length - at, &used)) {
        case ARRIVAL_REQUEST:
            return incoming_has_pairs(incoming) && answer(worker, connection) &&
                   at + used == length;
        case ARRIVAL_MANAGEMENT:
            if (!answer_management(worker, connection))
                return false;
            break;
        case ARRIVAL_MULTIPLEXED:
            if (!refuse_multiplexed(connection))
                return false;
            break;
        case ARRIVAL_PARTIAL:
            expect_rest(worker, connection);
            break;
        default:
            return false;
        }
    }
    return true;
}

static void read_connection(struct worker *worker, struct connection *connection)
{
    const ssize_t length = recv(connection->fd, worker->read, sizeof(worker->read), 0);
    if (length < 0 && errno == EAGAIN)
        return;
    if (length <= 0 || !serve(worker, connection, (size_t)length))
        close_connection(worker, connection);
}

/* Closes connections whose peers have left a request unfinished. */
static void close_stalled(struct worker *worker)
{
    const int64_t now = now_ms();
    worker->stall_ms = 0;
    for (int i = 0; i < CONNECTIONS_MAX; i++) {
        struct connection *connection = &worker->connections[i];
        if (connection->fd < 0 || connection->stall_ms == 0)
            continue;
        if (connection->stall_ms <= now)
            close_connection(worker, connection);
        else if (worker->stall_ms == 0 || connection->stall_ms < worker->stall_ms)
            worker->stall_ms = connection->stall_ms;
    }
}

static void take_signal(struct worker *worker)
{
    struct signalfd_siginfo info;
    if (read(worker->signals, &info, sizeof(info)) == sizeof(info))
        worker->stop = info.ssi_signo == SIGQUIT ? STOP_NOW : STOP_DRAIN;
}

/* How long a worker may wait for events. */
static int patience_ms(const struct worker *worker)
{
    if (!worker->accepting && worker->open < CONNECTIONS_MAX)
        return ACCEPT_PAUSE_MS;
    if (worker->stall_ms == 0)
        return -1;
    const int64_t left = worker->stall_ms - now_ms();
    return left > 0 ? (int)left : 0;
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
            read_connection(worker, data);
    }
    if (worker->stall_ms > 0 && worker->stall_ms <= now_ms())
        close_stalled(worker);
    if (!worker->accepting && worker->open < CONNECTIONS_MAX && worker->accept_ms <= now_ms())
        start_accepting(worker);
    return count;
}

/* All, or those that are idle. A connection that has sent nothing yet, or only a part of a request,
 * is not idle: its request is under way. */
static void close_connections(struct worker *worker, bool idle_only)
{
    for (int i = 0; i < CONNECTIONS_MAX; i++)
        if (worker->connections[i].fd >= 0 && (worker->connections[i].answered || !idle_only))
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
        const bool nothing_waits = worker->accepting;
        close_connections(worker, true);
        if (worker->open == 0 && nothing_waits)
            return;
        turn(worker, nothing_waits ? (int)left : 1);
    }
}

/* See hand_over. */
static bool make_handover(struct worker *worker)
{
    worker->handover = memfd_create("request", MFD_CLOEXEC);
    if (worker->handover < 0 || ftruncate(worker->handover, REQUEST_SIZE_MAX) < 0)
        return false;
    uint8_t *start = mmap(NULL, REQUEST_SIZE_MAX, PROT_WRITE, MAP_SHARED, worker->handover, 0);
    worker->end = start + REQUEST_SIZE_MAX;
    FCGX_InitRequest(&worker->fcgi, -1, 0);
    return start != MAP_FAILED;
}

static bool await_signals(struct worker *worker)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGQUIT);
    worker->signals = signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
    return worker->signals >= 0 && watch(worker, worker->signals, EPOLLIN, worker);
}

static bool worker_init(struct worker *worker)
{
    for (int i = CONNECTIONS_MAX - 1; i >= 0; i--) {
        worker->connections[i].fd = -1;
        worker->connections[i].next_free = worker->free;
        worker->free = &worker->connections[i];
    }
    worker->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (worker->epoll < 0 || !await_signals(worker) || !make_handover(worker))
        return false;
    start_accepting(worker);
    return worker->accepting;
}

int worker_run(const struct settings *settings, struct shared *shared, struct slot *slot)
{
    struct worker *worker = calloc(1, sizeof(*worker));
    if (!worker)
        return EX_OSERR;
    worker->settings = settings;
    worker->shared = shared;
    worker->slot = slot;
    if (!worker_init(worker)) {
        log_line(LOG_ERROR, "cannot wait for connections: %s", strerror(errno));
        free(worker);
        return EX_OSERR;
    }
    while (worker->stop == STOP_NO)
        turn(worker, patience_ms(worker));
    drain(worker);
    close_connections(worker, false);
    free(worker);
    return EX_OK;
}
