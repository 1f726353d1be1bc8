/*
 * FastCGI records (FastCGI Specification 1.0, sections 3.3 and 4), only as far as a worker has to
 * know them itself. libfcgi speaks the protocol, but it blocks until a request is complete and
 * answers management records with a fixed buffer that repeated names overflow; so a worker looks
 * at what has arrived before it lets libfcgi read it.
 */
#ifndef RECORD_H
#define RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    RECORD_HEADER_SIZE = 8,
    MANAGEMENT_CONTENT_MAX = 128,                                  /* of a record to be answered */
    MANAGEMENT_SIZE = RECORD_HEADER_SIZE + MANAGEMENT_CONTENT_MAX, /* of the answer */
};

enum arrival {
    ARRIVAL_PARTIAL,    /* more has to come */
    ARRIVAL_REQUEST,    /* a whole request in the responder role */
    ARRIVAL_MANAGEMENT, /* a whole management record */
    ARRIVAL_INVALID,    /* nothing that a web server sends; the connection is of no use */
};

/* What stands at the beginning of bytes; used is set to the length of a whole request or record. */
__attribute__((nonnull, warn_unused_result)) enum arrival record_scan(const uint8_t *bytes,
                                                                      size_t length, size_t *used);

/*
 * Writes the answer to a whole management record: FCGI_GET_VALUES_RESULT, where connections is
 * what FCGI_MAX_CONNS and FCGI_MAX_REQS get, or FCGI_UNKNOWN_TYPE. Returns its length.
 */
__attribute__((nonnull, warn_unused_result)) size_t
management_answer(const uint8_t *record, unsigned connections, uint8_t answer[MANAGEMENT_SIZE]);

#endif
