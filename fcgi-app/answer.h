/* From a whole request to the records of its answer. */
#ifndef ANSWER_H
#define ANSWER_H

#include "core/request.h"
#include "core/response.h"
#include "core/settings.h"
#include "record.h"
#include "shared.h"

#include <fcgiapp.h>

/* What a worker answers with, one request at a time. */
struct answerer {
    const struct settings *settings;
    struct shared *shared;
    struct slot *slot;
    int64_t began_ns; /* when the request was taken in hand, by whomever; see now_ns */
    FCGX_Request fcgi;
    int handover; /* a file in memory, from which libfcgi reads requests */
    uint8_t *end; /* of the file, which is mapped */
    size_t size;  /* of the request at that end */
    bool full;    /* too many requests wait for workers that wait, and it was logged */
    char body[BODY_KEPT_MAX];
    struct response response;
    uint8_t records[ANSWER_SIZE_MAX(RESPONSE_MAX)]; /* the answer, as it is sent */
};

/* Prepares answerer, which is all zero. NULL, or the call that was refused, and errno. */
__attribute__((nonnull, warn_unused_result)) const char *
answerer_init(struct answerer *answerer, const struct settings *settings, struct shared *shared,
              struct slot *slot);

/*
 * Answers the whole request that incoming holds and that came by connection. The records are in
 * answerer until the next call. Returns their length; 0 when it was handed over to a worker that
 * waits, with the connection, which is still to be closed. draining is what its struct request
 * gets. Ends the process where libfcgi does not accept what incoming_take let pass.
 */
__attribute__((nonnull, warn_unused_result)) size_t
answer(struct answerer *answerer, const struct incoming *incoming, int connection, bool draining);

#endif
