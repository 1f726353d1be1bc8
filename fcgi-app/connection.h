/* The connections of a worker, and what it serves them with. */
#ifndef CONNECTION_H
#define CONNECTION_H

#include "answer.h"
#include "clock.h"
#include "record.h"
#include "shared.h"

enum {
    CONNECTIONS_MAX = 1024, /* of one worker; Cloud Run sends an instance at most 1000 requests */
    READ_SIZE = 64 * 1024,  /* read from a connection at once; nginx sends less */
    REQUEST_MS = 10000, /* for all of a request, from its first byte or the connection's begin */
    SEND_MS = 5000,     /* for all of an answer; nginx takes it at once */
};

enum stop { STOP_NO, STOP_DRAIN, STOP_NOW };

/* What waits until the peer has taken its answers: those, and the bytes that came meanwhile. */
struct backlog {
    size_t sent, output, input;
    uint8_t bytes[]; /* the answers, then the input */
};

struct connection {
    int fd; /* -1: none */
    struct connection *next_free;
    uint64_t idle_since; /* in the order of worker->turns; 0: not idle, a request is under way */
    int64_t deadline_ms; /* closed then, 0: never */
    bool last; /* closed behind its backlog; without one: by the peer, or at the deadline */
    struct backlog *backlog; /* NULL: nothing waits */
    struct incoming incoming;
};

struct worker {
    const struct settings *settings;
    struct shared *shared;
    struct slot *slot;
    int epoll, signals;
    enum stop stop;
    bool accepting;      /* the listening socket is in the epoll set */
    bool refused;        /* the system has, and it was logged */
    bool full;           /* the same for places */
    int64_t accept_ms;   /* when to accept again, if not before */
    int64_t deadline_ms; /* the first of the connections', or before it; 0: none */
    uint64_t turns;      /* counts what makes connections idle */
    unsigned places;     /* connections that it may have, at most CONNECTIONS_MAX */
    unsigned open, idle; /* connections that it has; and of these */
    struct connection *free;
    struct connection connections[CONNECTIONS_MAX];
    struct answerer answerer;
    uint8_t read[READ_SIZE];
};

/* Has the worker end, since the system refuses a call without which it cannot go on; the parent
 * says which, and errno. */
__attribute__((nonnull)) void cannot_go_on(struct worker *worker, const char *call);

/*
 * Begins to serve a connection that was accepted, and does not block. There has to be a place
 * (worker->free). false, and errno, when the system refuses to wait for it: then fd is closed.
 */
__attribute__((nonnull, warn_unused_result)) bool open_connection(struct worker *worker, int fd);

/* Takes a request that was handed over, with its connection, and answers it; unless another worker
 * was faster. There has to be a place. The system call that was refused, with errno, or NULL. */
__attribute__((nonnull, warn_unused_result)) const char *take_request(struct worker *worker);

/* Goes on with a connection on which something has happened: reads, answers what is whole, sends,
 * and closes it where it is of no use any more. */
__attribute__((nonnull)) void serve_connection(struct worker *worker,
                                               struct connection *connection);

/* Closes connections whose peers have left a request or an answer unfinished for too long. Where it
 * is a body that has not come, a 408 goes before. */
__attribute__((nonnull)) void close_overdue(struct worker *worker);

/* Closes the connection that has been idle for the longest time. false when there is none. */
__attribute__((nonnull, warn_unused_result)) bool close_oldest_idle(struct worker *worker);

/* Closes all that are idle, but for those on which a request has just arrived. A connection that
 * has sent nothing yet, or only a part of a request, is not idle: its request is under way. */
__attribute__((nonnull)) void close_idle(struct worker *worker);

__attribute__((nonnull)) void close_all(struct worker *worker);

#endif
