/* One request, as the web server in front tells it in CGI variables (RFC 3875 section 4.1). */
#ifndef REQUEST_H
#define REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    BODY_MAX = 1024 * 1024,   /* bytes that are read of any; a longer one ends its connection */
    BODY_KEPT_MAX = 64 * 1024 /* bytes that a route may ask for */
};

/* The strings are NUL-terminated and the caller's. Where the web server sent nothing, method and
 * target are "" and the others NULL. */
struct request {
    const char *method;           /* REQUEST_METHOD */
    const char *target;           /* REQUEST_URI */
    const char *accept;           /* HTTP_ACCEPT */
    const char *accept_language;  /* HTTP_ACCEPT_LANGUAGE */
    const char *if_match;         /* HTTP_IF_MATCH */
    const char *if_none_match;    /* HTTP_IF_NONE_MATCH */
    const char *content_length;   /* CONTENT_LENGTH; nginx sends "" where there is no body */
    const char *content_type;     /* CONTENT_TYPE */
    const char *content_encoding; /* HTTP_CONTENT_ENCODING */
    /* For the log and for errors, as they came: see trace.h. */
    const char *traceparent;         /* HTTP_TRACEPARENT */
    const char *cloud_trace_context; /* HTTP_X_CLOUD_TRACE_CONTEXT */
    const char *request_id;          /* HTTP_X_REQUEST_ID */
    const char *metrics;             /* METRICS: nginx's second listener asks for them */
    const char *body;                /* its bytes, where it is no longer than BODY_KEPT_MAX */
    size_t body_length;              /* that came, counted up to BODY_MAX + 1 */
    bool body_late;                  /* the rest has not come in time */
    int64_t now_ms;                  /* the wall clock: milliseconds since 1970-01-01 00:00 UTC */
    bool draining;                   /* the service is stopping */
    bool defers;                     /* a handler that waits must not be called here */
};

#endif
