/*
 * Requests for routes that wait: the worker to which nginx has sent one hands it over, with its
 * connection, to a worker that may wait. docs/design.md says why so.
 */
#ifndef HANDOVER_H
#define HANDOVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    HANDED_OVER_MAX = 128 * 1024 - 64, /* bytes of a request; nginx sends less */
    QUEUE_SIZE = 64 * 1024 /* bytes; Linux doubles them, and so many are one request at most */
};

/* Who hands requests over, and who takes them; all processes share both ends. */
struct queue {
    int in, out;
};

/* Makes a queue. NULL, or the system call that was refused, and errno. */
__attribute__((nonnull, warn_unused_result)) const char *queue_open(struct queue *queue);

/* One request, as records. */
struct handed {
    int64_t began_ns; /* when it was taken in hand first, on the monotonic clock */
    uint8_t *records;
    size_t length; /* where it is taken, room at first */
};

/*
 * Hands a request over; the connection is still to be closed. false, and errno: EAGAIN where too
 * many requests wait, EMSGSIZE where it is longer than HANDED_OVER_MAX.
 */
__attribute__((nonnull, warn_unused_result)) bool
queue_put(const struct queue *queue, const struct handed *request, int connection);

/*
 * Takes the request that waits for the longest time. Returns its connection, which is the
 * caller's; -1, and errno: EAGAIN where none waits, or nobody waits for its answer any more.
 */
__attribute__((nonnull, warn_unused_result)) int queue_take(const struct queue *queue,
                                                            struct handed *request);

#endif
