#include "worker.h"

#include "connection.h"
#include "log.h"
#include "sandbox.h"
#include "watchdog.h"

#include <errno.h>
#include <fastcgi.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

enum {
    EVENTS_MAX = 64,       /* taken from the kernel at once */
    ACCEPT_PAUSE_MS = 100, /* when descriptors or memory ran out */
    DRAIN_MS = 1000,       /* for requests that have arrived in part when the service stops */
};

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
    watchdog_idle(&worker->slot->activity);
    const int count = epoll_wait(worker->epoll, events, EVENTS_MAX, timeout_ms);
    watchdog_busy(worker->shared, &worker->slot->activity);
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
    if (worker->epoll < 0 || !await_signals(worker) ||
        !answerer_init(&worker->answerer, worker->settings, worker->shared, worker->slot))
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
    if (shared->sandboxed &&
        !sandbox_enter(SANDBOX_WORKER, shared->parent, &slot->activity.refused))
        log_line(LOG_WARNING, "no sandbox for this worker: %s", strerror(errno));
    while (worker->stop == STOP_NO)
        turn(worker, patience_ms(worker));
    drain(worker);
    close_connections(worker, false);
    free(worker);
    return EX_OK;
}
