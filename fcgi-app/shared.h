/*
 * The memory that the parent and its workers share: made by the parent before the first fork, and
 * zero at first. There are no locks in it: each part has one writer, named below, so that a
 * process that dies in the middle of anything leaves nothing locked.
 */
#ifndef SHARED_H
#define SHARED_H

#include "core/respond.h"
#include "core/settings.h"
#include "handover.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum {
    BUCKETS = 17,      /* of durations, 100 us to 10 s and more */
    METHOD_SHOWN = 16, /* bytes that a log line shows of a request in hand, NUL included */
    TARGET_SHOWN = 256,
    REQUEST_ID_SHOWN = 72, /* the longest has 64 */
    SUSPECTS_MAX = 16,
};

/* Has one writer: see count. */
typedef atomic_uint_least64_t counter;

/* Adds to a counter of this process's own: a plain addition, as the compiler makes it. */
static inline void count(counter *total, uint64_t number)
{
    const uint64_t now = atomic_load_explicit(total, memory_order_relaxed);
    atomic_store_explicit(total, now + number, memory_order_relaxed);
}

/* What a worker does now. Its writer is the worker. */
struct activity {
    atomic_bool starting;    /* takes no connections yet; set by the parent */
    bool waits;              /* takes requests from the queue; set by the parent, for good */
    atomic_bool busy;        /* has something to do, rather than waits for it */
    counter beat;            /* moves whenever the worker gets on with what it does */
    counter fingerprint;     /* of the request in hand, 0: none */
    atomic_int refused;      /* the number of a system call that the sandbox refused, -1: none */
    bool trial;              /* of a suspect: see quarantine.h */
    const char *unavailable; /* the system call that it needs and was refused, NULL: none */
    int error;               /* errno of that */
    /* Of the same request. Not to be read before the worker has ended. */
    char method[METHOD_SHOWN], target[TARGET_SHOWN], request_id[REQUEST_ID_SHOWN];
};

/* What the workers of one slot have done so far. Its writer is the worker; a worker that replaces
 * another goes on with its numbers, so that they never go back. Counters only: see metrics.c. */
struct traffic {
    counter requests[ROUTES + 1][METHODS][STATUSES]; /* the last is for those without a route */
    counter durations[ROUTES + 1][BUCKETS];          /* in no smaller bucket */
    counter seconds_e9[ROUTES + 1];                  /* the sum of the durations, in nanoseconds */
    counter request_bytes, response_bytes;           /* of bodies */
    counter accepted;                                /* connections */
    counter connections; /* open now; the parent zeroes it for a new worker */
};

/* What the processes of one slot have used. Its writer is the parent. */
struct usage {
    counter cpu_ns;      /* of all workers that the slot has had */
    counter memory;      /* bytes that are resident now */
    counter descriptors; /* without connections; the worker writes it */
    uint64_t earlier_ns; /* of CPU, of those before the present one; the parent's own */
};

/* A slot holds one worker at a time. */
struct slot {
    struct activity activity;
    struct traffic traffic;
    struct usage usage;
};

/* A request, by its fingerprint, that a worker did not survive. Its writer is the parent, where
 * nothing else is said. */
struct suspect {
    counter fingerprint; /* 0: none; a worker forgets it after a trial that went well */
    counter until_ms;    /* refused up to then, 0: not at all; a worker moves it when it tries */
    uint32_t deaths;     /* of workers in a row */
    int64_t last_ms;     /* the last one's */
};

struct shared {
    atomic_bool draining; /* set once by the parent, when the stop is announced or begins */
    atomic_bool watched;  /* the parent looks at busy workers; see watchdog.h */
    pid_t parent;
    bool sandboxed;     /* the parent is, and so its workers have to be; see sandbox.h */
    struct queue queue; /* for routes that wait */
    bool queues;        /* there is one */
    struct suspect suspects[SUSPECTS_MAX];
    struct deaths {
        counter exited, killed, hung;
    } deaths;                 /* of workers; the parent's, as the next */
    struct usage usage;       /* its own */
    uint64_t start_time_ms;   /* its own, since 1970 */
    uint64_t descriptors_max; /* RLIMIT_NOFILE */
    counter started;          /* workers */
    int slots_used;           /* settings->workers, and behind them those that wait */
    struct slot slots[WORKERS_MAX + WAITING_WORKERS_MAX];
};

#endif
