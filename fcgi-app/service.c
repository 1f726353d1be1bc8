#include "service.h"

#include "clock.h"
#include "log.h"
#include "metrics.h"
#include "quarantine.h"
#include "sandbox.h"
#include "watchdog.h"
#include "worker.h"

#include <errno.h>
#include <fastcgi.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

enum {
    STILLBORN_MS = 100, /* a worker that dies younger failed to start: a start takes about 1 ms */
    STILLBORN_MAX = 6,  /* in a row: gives up after about 0.3 s, which supervisord, who counts exits
                         * within the first second, takes for a start that failed */
    BACKOFF_FIRST_MS = 10,
    STOP_MS = 2500, /* for workers to stop; supervisord kills all after 3 s (stopwaitsecs) */
};

/* Those that wait begin to stop when the others have. */
_Static_assert(2 * DRAIN_MS + 500 <= STOP_MS, "workers stop by themselves before they are killed");

struct child {
    pid_t pid;          /* 0: no worker now */
    int64_t started_ms; /* when it was forked */
    int64_t start_ms;   /* when one is to be forked, where pid is 0 */
    bool hung;          /* was ended by the watchdog */
    struct watched watched;
    struct slot *slot; /* its own in the shared memory */
};

struct parent {
    const struct settings *settings;
    struct shared *shared;
    struct child children[WORKERS_MAX + WAITING_WORKERS_MAX]; /* as shared->slots */
    int slots;       /* that are used: settings->workers, and behind them those that wait */
    int stillborn;   /* workers in a row that died as soon as they were started */
    int64_t look_ms; /* when the watchdog looks at them next, 0: not before one is busy */
    bool stopping;   /* those that end are not replaced */
    bool unforked;   /* the system refuses to fork, and it was logged */
    bool refused;    /* a call without which it cannot go on, and it was logged */
};

static void become_worker(const struct parent *parent, const struct child *child, pid_t parent_pid)
{
    /* SIGTERM rather than SIGKILL: a worker that has lost its parent still finishes its requests.
     */
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent_pid)
        exit(EX_OK); /* the parent died before the prctl */
    exit(worker_run(parent->settings, parent->shared, child->slot));
}

static void watch(struct parent *parent)
{
    atomic_store(&parent->shared->watched, true);
    if (parent->look_ms == 0)
        parent->look_ms = now_ms() + LOOK_MS;
}

/* Busy until it says something else: that it hangs at its start is seen, too. */
static void prepare_slot(struct child *child)
{
    atomic_store(&child->slot->activity.fingerprint, 0);
    atomic_store(&child->slot->activity.starting, true);
    atomic_store(&child->slot->activity.busy, true);
    atomic_store(&child->slot->activity.refused, -1);
    child->slot->activity.unavailable = NULL;
    child->watched = (struct watched){.looks = 0};
    child->hung = false;
}

static void start_worker(struct parent *parent, struct child *child)
{
    const pid_t parent_pid = getpid();
    prepare_slot(child);
    watch(parent);
    child->started_ms = now_ms();
    child->pid = fork();
    if (child->pid == 0)
        become_worker(parent, child, parent_pid);
    if (child->pid > 0) {
        count(&parent->shared->started, 1);
        parent->unforked = false;
        return;
    }
    if (!parent->unforked)
        log_line(LOG_ERROR, "fork: %s; trying again every second", strerror(errno));
    parent->unforked = true;
    child->pid = 0;
    child->start_ms = now_ms() + 1000;
}

static void start_due(struct parent *parent)
{
    for (int i = 0; i < parent->slots; i++)
        if (parent->children[i].pid == 0 && parent->children[i].start_ms <= now_ms())
            start_worker(parent, &parent->children[i]);
}

/* What the log needs to know of the request that a worker has left behind. */
static struct request request_in(const struct activity *activity)
{
    return (struct request){
        .method = activity->method, .target = activity->target, .request_id = activity->request_id};
}

static void say_how(const struct parent *parent, const struct child *child, int status, char *how,
                    size_t size)
{
    const struct activity *activity = &child->slot->activity;
    const int refused = atomic_load(&activity->refused);
    char name[32];
    if (child->hung) {
        snprintf(how, size, "did nothing for %d s", parent->settings->request_timeout);
    } else if (refused >= 0) {
        sandbox_call_name(refused, name, sizeof(name));
        snprintf(how, size, "made the system call %s, which the sandbox refuses,", name);
    } else if (activity->unavailable) {
        snprintf(how, size, "could not %s: %s: %s,", activity->starting ? "start" : "go on",
                 activity->unavailable, strerror(activity->error));
    } else if (WIFSIGNALED(status)) {
        snprintf(how, size, "was killed by signal %d", WTERMSIG(status));
    } else {
        snprintf(how, size, "exited with status %d", WEXITSTATUS(status));
    }
}

static void log_death(const struct parent *parent, const struct child *child, int status)
{
    const struct activity *activity = &child->slot->activity;
    const struct request request = request_in(activity);
    char how[128];
    say_how(parent, child, status, how, sizeof(how));
    if (atomic_load(&activity->fingerprint))
        log_request(LOG_WARNING, &request, "worker %d %s and is replaced; it had %s %s in hand",
                    (int)child->pid, how, request.method, request.target);
    else
        log_line(LOG_WARNING, "worker %d %s and is replaced", (int)child->pid, how);
}

static void count_death(struct deaths *deaths, const struct child *child, int status)
{
    if (child->hung)
        count(&deaths->hung, 1);
    else
        count(WIFSIGNALED(status) ? &deaths->killed : &deaths->exited, 1);
}

/* Whether it was the request's fault; what a handler waits for in vain is somebody else's. All
 * signals are blocked but those of faults and SIGKILL, which comes from outside: with whatever is
 * asked for most in hand. */
static bool is_to_blame(const struct child *child, int status)
{
    if (child->hung)
        return !child->watched.stopped && !child->slot->activity.waits;
    return WIFSIGNALED(status) ? WTERMSIG(status) != SIGKILL : WEXITSTATUS(status) != EX_OK;
}

static void suspect(const struct parent *parent, const struct child *child, int status)
{
    const struct activity *activity = &child->slot->activity;
    const uint64_t fingerprint = atomic_load(&activity->fingerprint);
    const struct request request = request_in(activity);
    if (fingerprint && is_to_blame(child, status) &&
        quarantine_suspect(parent->shared, fingerprint))
        log_request(LOG_ERROR, &request, "%s %s has ended %d workers and is refused for %d s",
                    request.method, request.target, QUARANTINE_DEATHS, QUARANTINE_MS / 1000);
}

static bool is_young(const struct child *child)
{
    return now_ms() - child->started_ms < STILLBORN_MS;
}

/* A worker is replaced at once, unless it died as soon as it was started, and not of a request:
 * then ever later. */
static void plan_replacement(struct parent *parent, struct child *child)
{
    const int64_t now = now_ms();
    const bool stillborn = is_young(child) && !atomic_load(&child->slot->activity.fingerprint);
    parent->stillborn = stillborn ? parent->stillborn + 1 : 0;
    child->start_ms =
        parent->stillborn > 1 ? now + (BACKOFF_FIRST_MS << (parent->stillborn - 2)) : now;
}

/* What the system refuses to the first workers, it would refuse to all. */
static bool is_refused_at_first(const struct parent *parent, const struct child *child)
{
    const struct activity *activity = &child->slot->activity;
    return activity->unavailable && (activity->starting || is_young(child)) &&
           atomic_load(&parent->shared->started) <= (uint64_t)parent->slots;
}

static void refuse_service(const char *call, int error)
{
    log_line(LOG_ERROR, "cannot serve: %s: %s", call, strerror(error));
}

static void give_up(struct parent *parent, const char *call)
{
    if (!parent->refused)
        refuse_service(call, errno);
    parent->refused = true;
}

static void replace(struct parent *parent, struct child *child, int status)
{
    const struct activity *activity = &child->slot->activity;
    if (is_refused_at_first(parent, child)) {
        refuse_service(activity->unavailable, activity->error);
        parent->stopping = true;
        return;
    }
    log_death(parent, child, status);
    count_death(&parent->shared->deaths, child, status);
    suspect(parent, child, status);
    plan_replacement(parent, child);
}

static void bury(struct parent *parent, struct child *child, int status, const struct rusage *used)
{
    metrics_bury(used, &child->slot->usage);
    atomic_store(&child->slot->traffic.connections, 0);
    if (!parent->stopping)
        replace(parent, child, status);
    child->pid = 0;
}

static struct child *child_of(struct parent *parent, pid_t pid)
{
    for (int i = 0; i < parent->slots; i++)
        if (parent->children[i].pid == pid)
            return &parent->children[i];
    return NULL;
}

/* Takes note of all that has become of workers. One that is stopped (SIGSTOP) hangs, too, with the
 * connections that it has. */
static void reap(struct parent *parent)
{
    int status;
    pid_t pid;
    struct rusage used;
    while ((pid = wait4(-1, &status, WNOHANG | WUNTRACED | WCONTINUED, &used)) > 0) {
        struct child *child = child_of(parent, pid);
        if (!child)
            continue;
        if (WIFEXITED(status) || WIFSIGNALED(status)) {
            bury(parent, child, status, &used);
        } else {
            child->watched.stopped = WIFSTOPPED(status);
            watch(parent);
        }
    }
    if (pid < 0 && errno != ECHILD)
        give_up(parent, "wait4");
}

/* Signals the workers in the slots from first up to end; signal 0 just counts. Returns how many
 * there are. */
static int signal_workers(const struct parent *parent, int first, int end, int signal)
{
    int count = 0;
    for (int i = first; i < end; i++)
        if (parent->children[i].pid > 0 && kill(parent->children[i].pid, signal) == 0)
            count++;
    return count;
}

/* The next signal, 0 when none came before the time was up. */
static int next_signal(struct parent *parent, int64_t until_ms)
{
    sigset_t signals;
    sigfillset(&signals);
    const int64_t left = until_ms > now_ms() ? until_ms - now_ms() : 0;
    const struct timespec timeout = {left / 1000, left % 1000 * 1000000};
    const int signal = sigtimedwait(&signals, NULL, &timeout);
    if (signal < 0 && errno != EAGAIN && errno != EINTR)
        give_up(parent, "sigtimedwait");
    return signal > 0 ? signal : 0;
}

/* As signal_workers, and waits for their end. */
static void await_stop(struct parent *parent, int first, int end, int signal, int64_t deadline)
{
    signal_workers(parent, first, end, signal);
    while (!parent->refused && signal_workers(parent, first, end, 0) > 0 && now_ms() < deadline) {
        if (next_signal(parent, deadline) == SIGQUIT)
            signal_workers(parent, 0, end, SIGQUIT);
        reap(parent);
    }
}

/* Those that wait last, since until then requests may be handed to them. */
static void stop_workers(struct parent *parent, int signal)
{
    const int64_t deadline = now_ms() + STOP_MS;
    const int first_waiting = parent->settings->workers, end = parent->slots;
    parent->stopping = true;
    atomic_store(&parent->shared->draining, true);
    await_stop(parent, 0, first_waiting, signal, deadline);
    await_stop(parent, first_waiting, end, signal, deadline);
    if (!parent->refused && signal_workers(parent, 0, end, SIGKILL) > 0)
        log_line(LOG_ERROR, "workers did not stop within %d ms and are killed", STOP_MS);
}

/* Ends workers that have hung for too long, and stops looking when all are idle. */
static void look(struct parent *parent)
{
    bool quiet = true;
    if (parent->look_ms == 0 || now_ms() < parent->look_ms)
        return;
    for (int i = 0; i < parent->slots; i++) {
        struct child *child = &parent->children[i];
        if (child->pid == 0)
            continue;
        metrics_look(child->pid, &child->slot->usage);
        const int looks = watchdog_look(&child->watched, &child->slot->activity, &quiet);
        if (looks * LOOK_MS < parent->settings->request_timeout * 1000)
            continue;
        if (kill(child->pid, SIGKILL) < 0 && !child->hung)
            log_line(LOG_ERROR, "kill: %s; worker %d hangs; trying again every %d ms",
                     strerror(errno), (int)child->pid, LOOK_MS);
        child->hung = true;
    }
    metrics_look(getpid(), &parent->shared->usage);
    const bool rests = quiet && watchdog_rest(parent->shared);
    parent->look_ms = rests ? 0 : now_ms() + LOOK_MS;
}

static int64_t next_event_ms(const struct parent *parent)
{
    int64_t next = parent->look_ms ? parent->look_ms : now_ms() + (int64_t)3600 * 1000;
    for (int i = 0; i < parent->slots; i++)
        if (parent->children[i].pid == 0 && parent->children[i].start_ms < next)
            next = parent->children[i].start_ms;
    return next;
}

/* Handles a signal. false when it is one to stop. */
static bool handle(struct parent *parent, int signal)
{
    switch (signal) {
    case SIGTERM:
    case SIGINT:
    case SIGQUIT:
        return false;
    case SIGCHLD:
        reap(parent);
        return true;
    case WATCHDOG_SIGNAL:
        watch(parent);
        return true;
    case SIGUSR1:
        log_line(LOG_INFO, "about to be stopped: no longer ready");
        atomic_store(&parent->shared->draining, true);
        return true;
    default:
        return true;
    }
}

static int supervise(struct parent *parent)
{
    while (parent->stillborn < STILLBORN_MAX && !parent->stopping && !parent->refused) {
        start_due(parent);
        const int signal = next_signal(parent, next_event_ms(parent));
        if (!handle(parent, signal)) {
            stop_workers(parent, signal);
            return parent->refused ? EX_OSERR : EX_OK;
        }
        look(parent);
    }
    const bool refused = parent->stopping || parent->refused;
    stop_workers(parent, SIGTERM);
    if (refused)
        return EX_OSERR;
    log_line(LOG_ERROR, "%d workers in a row died within %d ms of their start; giving up",
             STILLBORN_MAX, STILLBORN_MS);
    return EX_SOFTWARE;
}

static void describe_process(struct shared *shared)
{
    struct rlimit limit = {.rlim_cur = 0};
    getrlimit(RLIMIT_NOFILE, &limit);
    shared->parent = getpid();
    shared->start_time_ms = (uint64_t)wall_clock_ms();
    shared->descriptors_max = limit.rlim_cur;
}

/* In this order: what is read or opened at its first use, has to be there before. */
static void enter_sandbox(const struct parent *parent)
{
    json_object_seed(0);
    if (!parent->settings->sandbox)
        return;
    const int waiting = parent->shared->queues ? SANDBOX_WAITING : 0;
    parent->shared->sandboxed = sandbox_enter(SANDBOX_PARENT | waiting, getpid(), NULL);
    if (!parent->shared->sandboxed && errno != ENOTSUP)
        log_line(LOG_WARNING, "there is no sandbox here: %s; serving without", strerror(errno));
}

static void assign_slots(struct parent *parent)
{
    const int workers = parent->settings->workers;
    struct shared *shared = parent->shared;
    shared->queues = any_route_waits();
    parent->slots = workers + (shared->queues ? parent->settings->waiting_workers : 0);
    shared->slots_used = parent->slots;
    for (int i = 0; i < parent->slots; i++) {
        parent->children[i].slot = &shared->slots[i];
        shared->slots[i].activity.waits = i >= workers;
    }
}

/* What has to be there before the first worker. NULL, or the system call that was refused, and
 * errno. */
static const char *prepare(struct parent *parent)
{
    parent->shared = mmap(NULL, sizeof(*parent->shared), PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (parent->shared == MAP_FAILED)
        return "mmap";
    /* The workers wait for this socket and for others at the same time. */
    if (fcntl(FCGI_LISTENSOCK_FILENO, F_SETFL, O_NONBLOCK) < 0)
        return "fcntl";
    assign_slots(parent);
    describe_process(parent->shared);
    return parent->shared->queues ? queue_open(&parent->shared->queue) : NULL;
}

int service_run(const struct settings *settings)
{
    struct parent parent = {.settings = settings};
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    const char *refused = prepare(&parent);
    if (refused) {
        refuse_service(refused, errno);
        return EX_OSERR;
    }
    const int waiting = parent.slots - settings->workers;
    log_line(LOG_INFO, "serving with %d workers", settings->workers);
    if (waiting)
        log_line(LOG_INFO, "and %d for routes that wait", waiting);
    enter_sandbox(&parent);
    return supervise(&parent);
}
