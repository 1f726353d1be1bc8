/* Which request this is, for whoever looks for it in the log: its id, and its place in a trace. */
#ifndef TRACE_H
#define TRACE_H

#include "request.h"

#include <stdbool.h>

enum { TRACE_DIGITS = 32, SPAN_DIGITS = 16, REQUEST_ID_MIN = 8, REQUEST_ID_MAX = 64 };

struct trace {
    char id[TRACE_DIGITS + 1];  /* in lower-case hexadecimal; "" when the request is in no trace */
    char span[SPAN_DIGITS + 1]; /* the same, of the caller; "" when it is not known */
    bool sampled;
};

/*
 * The trace that traceparent (W3C Trace Context, section 3.2) names, or else
 * X-Cloud-Trace-Context (TRACE/SPAN;o=SAMPLED, the span in decimal). What is not well-formed is
 * taken for absent, as the W3C asks.
 */
__attribute__((nonnull, warn_unused_result)) struct trace trace_of(const struct request *request);

/* The request's id, NULL when there is none of REQUEST_ID_MIN to REQUEST_ID_MAX characters out of
 * A-Z a-z 0-9 . _ - : an error quotes it, and so does the log. */
__attribute__((nonnull, warn_unused_result)) const char *
request_id_of(const struct request *request);

#endif
