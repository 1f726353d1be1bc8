/*
 * FastCGI records (FastCGI Specification 1.0, sections 3.3 and 4), only as far as a worker has to
 * know them itself. libfcgi speaks the protocol, but it waits wherever a request pauses, forgets
 * some padding, and breaks on management records with repeated names and on parameters with wrong
 * lengths. So a worker collects what arrives, and libfcgi gets a request when all of it is there.
 */
#ifndef RECORD_H
#define RECORD_H

#include "core/request.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    RECORD_HEADER_SIZE = 8,
    OUTPUT_CONTENT_MAX = 65528,   /* of a record of FCGI_STDOUT, which holds at most 65535 */
    MANAGEMENT_CONTENT_MAX = 128, /* of a record to be answered */
    MANAGEMENT_SIZE = RECORD_HEADER_SIZE + MANAGEMENT_CONTENT_MAX, /* of the answer */
    END_SIZE = 2 * RECORD_HEADER_SIZE,                             /* of FCGI_END_REQUEST */
    FAREWELL_SIZE = 2 * RECORD_HEADER_SIZE,                        /* see farewell */
    PARAMS_MAX = 512 * 1024, /* of a request; nginx sends less than 64 KiB */
    /* As libfcgi gets it, records' headers included. */
    REQUEST_SIZE_MAX = PARAMS_MAX + BODY_KEPT_MAX + 16 * 1024,
};

enum arrival {
    ARRIVAL_PARTIAL,    /* more has to come */
    ARRIVAL_REQUEST,    /* a whole request in the responder role, or one with too long a body */
    ARRIVAL_MANAGEMENT, /* a whole management record */
    ARRIVAL_ENDED,      /* a request that gets no answer is over: see ended */
    ARRIVAL_INVALID,    /* nothing that a web server sends; the connection is of no use */
};

/* What has arrived of a request or a management record. All zero: nothing. */
struct incoming {
    uint8_t header[RECORD_HEADER_SIZE]; /* of the record that is under way */
    uint8_t header_length;              /* bytes of it that are there */
    uint8_t stage;             /* the type of the request's records to come, 0: no request */
    uint16_t id;               /* of the request, 0: none */
    unsigned content, padding; /* bytes of the record under way that have not come yet */
    size_t body_length;        /* all of it is counted, and kept up to BODY_KEPT_MAX */
    uint8_t *kept;             /* the first record, and the content of FCGI_PARAMS and FCGI_STDIN */
    size_t kept_length, kept_size;
    size_t params_end; /* in kept; the body begins there */
    bool late;         /* the rest of the body has not come in time */
    struct {
        uint16_t id;
        uint8_t status; /* protocolStatus: aborted, another within the first, in another role */
        bool keeps;     /* the connection stays open */
    } ended;
};

/*
 * Takes bytes that have arrived, up to the end of a request or record, or all of them; used is set
 * to how many that were. Records of requests that have not begun, or are over, are skipped
 * (section 3.3). Behind ARRIVAL_REQUEST incoming has to be reset before more can be taken, and
 * behind ARRIVAL_INVALID there is no more.
 */
__attribute__((nonnull, warn_unused_result)) enum arrival
incoming_take(struct incoming *incoming, const uint8_t *bytes, size_t length, size_t *used);

/* Whether nothing has arrived: no request has begun, and no record. */
__attribute__((nonnull, warn_unused_result)) bool
incoming_is_empty(const struct incoming *incoming);

/* Whether all of a request has arrived but the end of its body. */
__attribute__((nonnull, warn_unused_result)) bool
incoming_awaits_body(const struct incoming *incoming);

/* Makes incoming empty again and frees what it kept. */
__attribute__((nonnull)) void incoming_reset(struct incoming *incoming);

/* Whether the connection of a request that has begun stays open behind it (FCGI_KEEP_CONN). */
__attribute__((nonnull, warn_unused_result)) bool incoming_keeps(const struct incoming *incoming);

/* Whether the parameters of a whole request are name-value pairs (section 3.4) and nothing else. */
__attribute__((nonnull, warn_unused_result)) bool
incoming_has_pairs(const struct incoming *incoming);

/*
 * Writes a whole request the way that libfcgi reads it without fault: at once, only its own
 * records, without padding, and without a body that is longer than BODY_KEPT_MAX. Its last byte
 * gets to end[-1]; there has to be room for REQUEST_SIZE_MAX. Returns its length.
 */
__attribute__((nonnull, warn_unused_result)) size_t incoming_print(const struct incoming *incoming,
                                                                   uint8_t *end);

/*
 * Writes the answer to ARRIVAL_MANAGEMENT: FCGI_GET_VALUES_RESULT, where connections is what
 * FCGI_MAX_CONNS and FCGI_MAX_REQS get, or FCGI_UNKNOWN_TYPE. Returns its length.
 */
__attribute__((nonnull, warn_unused_result)) size_t
management_answer(const struct incoming *incoming, unsigned connections,
                  uint8_t answer[MANAGEMENT_SIZE]);

/* Writes the answer to ARRIVAL_ENDED: FCGI_END_REQUEST. Returns its length. */
__attribute__((nonnull, warn_unused_result)) size_t ended_answer(const struct incoming *incoming,
                                                                 uint8_t answer[END_SIZE]);

/* Room for the records around so many bytes of FCGI_STDOUT, and for these bytes. */
#define ANSWER_SIZE_MAX(output)                                                                    \
    ((output) + ((output) / OUTPUT_CONTENT_MAX + 2) * RECORD_HEADER_SIZE + END_SIZE + FAREWELL_SIZE)

/*
 * Makes the records of a whole answer out of length bytes of FCGI_STDOUT that lie at
 * records + RECORD_HEADER_SIZE, where there has to be room for ANSWER_SIZE_MAX(length). Returns
 * the length of all.
 */
__attribute__((nonnull, warn_unused_result)) size_t answer_wrap(uint8_t *records, size_t length,
                                                                uint16_t id);

/*
 * Writes a record that means nothing, FCGI_UNKNOWN_TYPE, to go with an answer behind which a kept
 * connection is closed. Returns its length. nginx does not use a connection again on which anything
 * comes behind FCGI_END_REQUEST (ngx_http_fastcgi_input_filter); without it nginx may send the next
 * request before it sees the end of the connection, and a POST would be lost.
 */
__attribute__((nonnull, warn_unused_result)) size_t farewell(uint8_t record[FAREWELL_SIZE]);

#endif
