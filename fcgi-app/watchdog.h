/*
 * How the parent sees that a worker hangs, in a handler or anywhere else, at no cost while nothing
 * is to be done: the first worker that becomes busy wakes the parent, which from then on looks at
 * their beats every LOOK_MS, until it has seen none of them move. Looks are counted, not time: a
 * container that was frozen, or whose CPU was taken away, finds all its clocks advanced and no
 * worker the slower for it.
 */
#ifndef WATCHDOG_H
#define WATCHDOG_H

#include "shared.h"

#include <signal.h>

enum {
    LOOK_MS = 250,
    WATCHDOG_SIGNAL = SIGUSR2 /* by which a worker wakes its parent */
};

/* Worker: it has something to do; it waits for something to do. */
__attribute__((nonnull)) void watchdog_busy(struct shared *shared, struct activity *activity);
__attribute__((nonnull)) void watchdog_idle(struct activity *activity);

/* What the parent remembers of a worker from one look to the next. */
struct watched {
    uint64_t beat;
    int looks;    /* in a row that found it busy and getting on with nothing */
    bool stopped; /* by SIGSTOP: not the fault of what it does */
};

/*
 * Parent: looks at one worker. Returns for how many looks it has got on with nothing, 0 when it
 * has or need not. *quiet becomes false when it is busy or has been since the last look.
 */
__attribute__((nonnull, warn_unused_result)) int
watchdog_look(struct watched *watched, const struct activity *activity, bool *quiet);

/* Parent: it may sleep until a worker wakes it. false when one has become busy meanwhile. */
__attribute__((nonnull, warn_unused_result)) bool watchdog_rest(struct shared *shared);

#endif
