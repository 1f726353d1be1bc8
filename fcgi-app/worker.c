#include "worker.h"

#include "accept.h"
#include "connection.h"
#include "log.h"
#include "sandbox.h"
#include "watchdog.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sysexits.h>
#include <unistd.h>

enum { EVENTS_MAX = 64 }; /* taken from the kernel at once */

static void take_signal(struct worker *worker)
{
    struct signalfd_siginfo info;
    if (read(worker->signals, &info, sizeof(info)) == sizeof(info))
        worker->stop = info.ssi_signo == SIGQUIT ? STOP_NOW : STOP_DRAIN;
    else if (errno != EAGAIN)
        cannot_go_on(worker, "read");
}

/* How long a worker may wait for events, -1: for ever. */
static int patience_ms(const struct worker *worker)
{
    const int patience = accept_patience_ms(worker);
    if (worker->deadline_ms == 0)
        return patience;
    const int64_t left = worker->deadline_ms - now_ms();
    if (left <= 0)
        return 0;
    return patience >= 0 && patience < left ? patience : (int)left;
}

/* Waits for events and handles them. Returns how many there were. What is overdue is looked for
 * when all that had arrived has been read: a process that did not run for a while has much to
 * read that was sent in time. */
static int turn(struct worker *worker, int timeout_ms)
{
    struct epoll_event events[EVENTS_MAX];
    watchdog_idle(&worker->slot->activity);
    const int count = epoll_wait(worker->epoll, events, EVENTS_MAX, timeout_ms);
    if (count < 0 && errno != EINTR) /* which SIGCONT does */
        cannot_go_on(worker, "epoll_wait");
    watchdog_busy(worker->shared, &worker->slot->activity);
    for (int i = 0; i < count; i++) {
        void *data = events[i].data.ptr;
        if (data == worker)
            take_signal(worker);
        else if (!data)
            accept_connection(worker);
        else
            serve_connection(worker, data);
    }
    const bool all_seen = count >= 0 && count < EVENTS_MAX;
    if (worker->deadline_ms > 0 && all_seen && worker->deadline_ms <= now_ms())
        close_overdue(worker);
    if (!worker->accepting)
        accept_again(worker);
    return count;
}

/*
 * Answers what has arrived and what waits in the backlog; then leaves, once nothing is under way
 * or the time is up. Where it is only this worker that stops, the web server goes on using its
 * connections. Each is closed behind an answer, and those that get no request when the time is up.
 */
static void drain(struct worker *worker)
{
    const int64_t deadline = now_ms() + DRAIN_MS;
    int64_t left;
    while (worker->stop == STOP_DRAIN && (left = deadline - now_ms()) > 0) {
        if (turn(worker, 0) > 0)
            continue;
        const bool nothing_waits = worker->accepting;
        if (atomic_load(&worker->shared->draining))
            close_idle(worker);
        if (worker->open == 0 && nothing_waits)
            return;
        turn(worker, nothing_waits ? (int)left : 1);
    }
    close_idle(worker);
    turn(worker, 0);
}

/* As worker_init. */
static const char *await_signals(struct worker *worker)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGQUIT);
    worker->signals = signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
    if (worker->signals < 0)
        return "signalfd";
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = worker};
    return epoll_ctl(worker->epoll, EPOLL_CTL_ADD, worker->signals, &event) < 0 ? "epoll_ctl"
                                                                                : NULL;
}

/* The system call that was refused, with errno, or NULL. */
static const char *worker_init(struct worker *worker, const struct settings *settings,
                               struct shared *shared, struct slot *slot)
{
    worker->settings = settings;
    worker->shared = shared;
    worker->slot = slot;
    for (int i = CONNECTIONS_MAX - 1; i >= 0; i--) {
        worker->connections[i].fd = -1;
        worker->connections[i].next_free = worker->free;
        worker->free = &worker->connections[i];
    }
    worker->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (worker->epoll < 0)
        return "epoll_create1";
    const char *refused = await_signals(worker);
    if (!refused)
        refused = answerer_init(&worker->answerer, settings, shared, slot);
    return refused ? refused : accept_init(worker);
}

int worker_run(const struct settings *settings, struct shared *shared, struct slot *slot)
{
    struct activity *activity = &slot->activity;
    struct worker *worker = calloc(1, sizeof(*worker));
    activity->unavailable = worker ? worker_init(worker, settings, shared, slot) : "calloc";
    activity->error = errno;
    if (activity->unavailable) { /* the parent says so */
        free(worker);
        return EX_OSERR;
    }
    const int who = activity->waits ? SANDBOX_WAITING : SANDBOX_WORKER;
    if (shared->sandboxed && !sandbox_enter(who, shared->parent, &activity->refused))
        log_line(LOG_WARNING, "no sandbox for this worker: %s", strerror(errno));
    atomic_store(&activity->starting, false);
    while (worker->stop == STOP_NO)
        turn(worker, patience_ms(worker));
    drain(worker);
    close_all(worker);
    free(worker);
    return activity->unavailable ? EX_OSERR : EX_OK;
}
