/* What a handler gets and what it is expected to do. The handlers are in ../handlers, one a file;
 * the table of routes is in respond.c. */
#ifndef HANDLER_H
#define HANDLER_H

#include "format.h"
#include "request.h"
#include "response.h"
#include "settings.h"
#include "target.h"

struct context {
    const struct settings *settings;
    const struct request *request;
    const struct target *target;
    enum format requested; /* by ?format=, FORMAT_NONE when it is absent or means nothing */
};

/*
 * Fills response, which comes as response_init leaves it, for a GET. HEAD, OPTIONS and
 * If-None-Match are not its business. On an error it calls problem() and returns.
 */
typedef void handler(const struct context *context, struct response *response);

handler greeting, health, ready, version;

/*
 * Makes response an error: status with its reason phrase and detail, a sentence for the client,
 * in the format that the client prefers: text, HTML, or problem details (RFC 9457); with the
 * request's id, for the client to quote.
 */
__attribute__((nonnull)) void problem(const struct context *context, struct response *response,
                                      int status, const char *detail);

/* The content type, charset included, of a response in format that is no error. */
__attribute__((returns_nonnull)) const char *content_type(enum format format);

#endif
