#include "accept.h"

#include "log.h"

#include <errno.h>
#include <fastcgi.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    REFUSED_MS = 100,  /* between two tries at what the system refuses */
    SHARE_MS = 5,      /* without more than a share; then it is taken that the others are hung */
    START_MS = 100,    /* the same, where another starts: it will have none of its share before */
    SHARE_LOOK_MS = 1, /* between two looks at what the others have */
    SHARE_FREE = 4,    /* connections that need no look */
    /* Of the mean; what is shared unevenly is not mended by closing. Those of a worker that has
     * just died are still counted: of two, the other then gets 110 / 90 of its share. */
    SHARE_PERCENT = 110
};

/* Each free descriptor is a place. Which are taken need not be the lowest. */
static void count_descriptors(struct worker *worker)
{
    struct rlimit limit = {.rlim_cur = RLIM_INFINITY}; /* where the system does not say */
    rlim_t fd = 0;
    getrlimit(RLIMIT_NOFILE, &limit);
    for (; fd < limit.rlim_cur && worker->places < CONNECTIONS_MAX; fd++)
        worker->places += fcntl((int)fd, F_GETFD) < 0;
    atomic_store(&worker->slot->usage.descriptors, fd - worker->places);
}

/* Where requests come from: the listening socket, or the queue of those that wait. */
static int source_of(const struct worker *worker)
{
    return worker->slot->activity.waits ? worker->shared->queue.out : FCGI_LISTENSOCK_FILENO;
}

/* EPOLLEXCLUSIVE: a connection wakes one of the workers that wait, not all of them. Each time it
 * is that which has waited for the longest time. */
static bool start_accepting(struct worker *worker)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLEXCLUSIVE, .data.ptr = NULL};
    worker->accepting = epoll_ctl(worker->epoll, EPOLL_CTL_ADD, source_of(worker), &event) == 0;
    return worker->accepting;
}

/* New connections then wait in the listening socket's backlog, or go to another worker. Where it
 * stayed in the set, it would end each wait at once. */
static void stop_accepting(struct worker *worker, int ms)
{
    if (epoll_ctl(worker->epoll, EPOLL_CTL_DEL, source_of(worker), NULL) < 0 && errno != ENOENT)
        cannot_go_on(worker, "epoll_ctl");
    worker->accepting = false;
    worker->accept_ms = now_ms() + ms;
}

const char *accept_init(struct worker *worker)
{
    count_descriptors(worker);
    if (worker->places == 0) {
        errno = EMFILE;
        return "RLIMIT_NOFILE";
    }
    return start_accepting(worker) ? NULL : "epoll_ctl";
}

static bool has_place(const struct worker *worker)
{
    return worker->open < worker->places || worker->idle > 0;
}

/*
 * Whether the worker may have one connection more: at most so many more than the mean, and where
 * it has to close another for it, none more than the mean. The one that has the fewest always may.
 */
static bool has_share(const struct worker *worker)
{
    const uint64_t workers = (uint64_t)worker->settings->workers;
    uint64_t total = 0;
    if (worker->open < SHARE_FREE && worker->open < worker->places)
        return true;
    for (uint64_t i = 0; i < workers; i++)
        total += atomic_load_explicit(&worker->shared->slots[i].traffic.connections,
                                      memory_order_relaxed);
    if (worker->open >= worker->places)
        return worker->open * workers <= total;
    return worker->open * workers * 100 < total * SHARE_PERCENT + workers * 100;
}

static bool another_starts(const struct worker *worker)
{
    for (int i = 0; i < worker->settings->workers; i++)
        if (atomic_load(&worker->shared->slots[i].activity.starting))
            return true;
    return false;
}

/* Logged once, until there was room again. */
static void note_full(struct worker *worker)
{
    if (worker->open < worker->places - worker->places / 8)
        worker->full = false;
    if (worker->open < worker->places || worker->full)
        return;
    worker->full = true;
    log_line(LOG_WARNING,
             "all %u places for connections are taken; new ones get those of idle ones",
             worker->places);
}

static void refuse(struct worker *worker, const char *call)
{
    if (!worker->refused)
        log_line(LOG_ERROR, "%s: %s; trying again every %d ms", call, strerror(errno), REFUSED_MS);
    worker->refused = true;
    stop_accepting(worker, REFUSED_MS);
}

/* The system call that was refused, with errno, or NULL. */
static const char *take_connection(struct worker *worker)
{
    const int fd = accept4(FCGI_LISTENSOCK_FILENO, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0)
        return errno == EAGAIN || errno == EINTR || errno == ECONNABORTED ? NULL : "accept4";
    if (!open_connection(worker, fd))
        return "epoll_ctl";
    count(&worker->slot->traffic.accepted, 1);
    note_full(worker);
    return NULL;
}

/* Whoever was woken takes a connection before it looks whether it should have: nobody else may
 * have been woken for it. */
void accept_connection(struct worker *worker)
{
    if (worker->open == worker->places && !close_oldest_idle(worker)) {
        stop_accepting(worker, SHARE_MS);
        return;
    }
    const bool waits = worker->slot->activity.waits;
    const char *refused = waits ? take_request(worker) : take_connection(worker);
    if (refused) {
        refuse(worker, refused);
        return;
    }
    if (!waits && (!has_place(worker) || !has_share(worker)))
        stop_accepting(worker, SHARE_MS);
}

void accept_again(struct worker *worker)
{
    const int64_t waited_ms = now_ms() - worker->accept_ms;
    const bool due = waited_ms >= (another_starts(worker) ? START_MS : 0);
    const bool may = has_place(worker) && has_share(worker);
    if (worker->accepting || (worker->refused && !due) || !(due ? has_place(worker) : may))
        return;
    if (!start_accepting(worker))
        refuse(worker, "epoll_ctl");
}

int accept_patience_ms(const struct worker *worker)
{
    if (worker->accepting || (!worker->refused && !has_place(worker)))
        return -1;
    return worker->refused ? REFUSED_MS : SHARE_LOOK_MS;
}
