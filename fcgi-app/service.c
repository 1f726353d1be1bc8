#include "service.h"

#include "clock.h"
#include "log.h"
#include "worker.h"

#include <errno.h>
#include <fastcgi.h>
#include <fcgiapp.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

enum {
    STILLBORN_MS = 100, /* a worker that dies younger failed to start: a start takes about 1 ms */
    STILLBORN_MAX = 6,  /* in a row: gives up after about 0.3 s, which supervisord, who counts exits
                         * within the first second, takes for a start that failed */
    BACKOFF_FIRST_MS = 10,
    STOP_MS = 3000, /* for workers to stop; they need at most DRAIN_MS of worker.c */
};

struct worker {
    pid_t pid;          /* 0: no worker now */
    int64_t started_ms; /* when it was forked */
    int64_t start_ms;   /* when one is to be forked, where pid is 0 */
};

struct parent {
    const struct settings *settings;
    struct shared *shared;
    struct worker workers[WORKERS_MAX]; /* settings->workers of them, each in its slot */
    int stillborn; /* workers in a row that died as soon as they were started */
};

static void become_worker(const struct parent *parent, const struct worker *worker,
                          pid_t parent_pid)
{
    /* SIGTERM rather than SIGKILL: a worker that has lost its parent still finishes its requests.
     */
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent_pid)
        exit(EX_OK); /* the parent died before the prctl */
    exit(worker_run(parent->settings, parent->shared,
                    &parent->shared->slots[worker - parent->workers]));
}

static void start_worker(struct parent *parent, struct worker *worker)
{
    const pid_t parent_pid = getpid();
    worker->started_ms = now_ms();
    worker->pid = fork();
    if (worker->pid == 0)
        become_worker(parent, worker, parent_pid);
    if (worker->pid > 0)
        return;
    log_line(LOG_ERROR, "fork: %s; trying again in 1 s", strerror(errno));
    worker->pid = 0;
    worker->start_ms = now_ms() + 1000;
}

static void start_due(struct parent *parent)
{
    for (int i = 0; i < parent->settings->workers; i++)
        if (parent->workers[i].pid == 0 && parent->workers[i].start_ms <= now_ms())
            start_worker(parent, &parent->workers[i]);
}

static void log_death(pid_t pid, int status)
{
    if (WIFSIGNALED(status))
        log_line(LOG_WARNING, "worker %d was killed by signal %d and is replaced", (int)pid,
                 WTERMSIG(status));
    else
        log_line(LOG_WARNING, "worker %d exited with status %d and is replaced", (int)pid,
                 WEXITSTATUS(status));
}

/* A worker is replaced at once, unless it died as soon as it was started: then ever later. */
static void plan_replacement(struct parent *parent, struct worker *worker)
{
    const int64_t now = now_ms();
    parent->stillborn = now - worker->started_ms < STILLBORN_MS ? parent->stillborn + 1 : 0;
    worker->pid = 0;
    worker->start_ms =
        parent->stillborn > 1 ? now + (BACKOFF_FIRST_MS << (parent->stillborn - 2)) : now;
}

static void reap(struct parent *parent, bool replace)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        for (int i = 0; i < parent->settings->workers; i++) {
            if (parent->workers[i].pid != pid)
                continue;
            if (replace) {
                log_death(pid, status);
                plan_replacement(parent, &parent->workers[i]);
            }
            parent->workers[i].pid = 0;
        }
    }
}

static bool any_alive(const struct parent *parent)
{
    for (int i = 0; i < parent->settings->workers; i++)
        if (parent->workers[i].pid > 0)
            return true;
    return false;
}

static void signal_workers(const struct parent *parent, int signal)
{
    for (int i = 0; i < parent->settings->workers; i++)
        if (parent->workers[i].pid > 0)
            kill(parent->workers[i].pid, signal);
}

/* The next of the signals that concern the parent, 0 when none came before the time was up. */
static int next_signal(int64_t until_ms)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGCHLD);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGQUIT);
    const int64_t left = until_ms > now_ms() ? until_ms - now_ms() : 0;
    const struct timespec timeout = {left / 1000, left % 1000 * 1000000};
    const int signal = sigtimedwait(&signals, NULL, &timeout);
    return signal > 0 ? signal : 0;
}

static void stop_workers(struct parent *parent, int signal)
{
    const int64_t deadline = now_ms() + STOP_MS;
    atomic_store(&parent->shared->draining, true);
    signal_workers(parent, signal);
    while (any_alive(parent) && now_ms() < deadline) {
        if (next_signal(deadline) == SIGQUIT)
            signal_workers(parent, SIGQUIT);
        reap(parent, false);
    }
    if (any_alive(parent)) {
        log_line(LOG_ERROR, "workers did not stop within %d ms and are killed", STOP_MS);
        signal_workers(parent, SIGKILL);
    }
}

static int64_t next_start_ms(const struct parent *parent)
{
    int64_t next = now_ms() + (int64_t)3600 * 1000;
    for (int i = 0; i < parent->settings->workers; i++)
        if (parent->workers[i].pid == 0 && parent->workers[i].start_ms < next)
            next = parent->workers[i].start_ms;
    return next;
}

static int supervise(struct parent *parent)
{
    while (parent->stillborn < STILLBORN_MAX) {
        start_due(parent);
        const int signal = next_signal(next_start_ms(parent));
        if (signal == SIGCHLD) {
            reap(parent, true);
        } else if (signal != 0) {
            stop_workers(parent, signal);
            return EX_OK;
        }
    }
    log_line(LOG_ERROR, "%d workers in a row died within %d ms of their start; giving up",
             STILLBORN_MAX, STILLBORN_MS);
    stop_workers(parent, SIGTERM);
    return EX_SOFTWARE;
}

int service_run(const struct settings *settings)
{
    struct parent parent = {.settings = settings};
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    parent.shared = mmap(NULL, sizeof(*parent.shared), PROT_READ | PROT_WRITE,
                         MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (parent.shared == MAP_FAILED) {
        log_line(LOG_ERROR, "mmap: %s", strerror(errno));
        return EX_OSERR;
    }
    /* The workers wait for this socket and for others at the same time. */
    if (fcntl(FCGI_LISTENSOCK_FILENO, F_SETFL, O_NONBLOCK) < 0 || FCGX_Init() != 0) {
        log_line(LOG_ERROR, "cannot use file descriptor 0 as listening socket: %s",
                 strerror(errno));
        return EX_OSERR;
    }
    log_line(LOG_INFO, "serving with %d workers", settings->workers);
    return supervise(&parent);
}
