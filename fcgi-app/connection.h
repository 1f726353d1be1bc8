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
    struct answerer answerer;
    uint8_t read[READ_SIZE];
};

/* Reads what has arrived on a connection, answers what is whole, and closes it where it is of no
 * use any more. */
__attribute__((nonnull)) void read_connection(struct worker *worker, struct connection *connection);

/* Closes connections whose peers have left a request unfinished. */
__attribute__((nonnull)) void close_stalled(struct worker *worker);

/* All, or those that are idle. A connection that has sent nothing yet, or only a part of a request,
 * is not idle: its request is under way. */
__attribute__((nonnull)) void close_connections(struct worker *worker, bool idle_only);

#endif
