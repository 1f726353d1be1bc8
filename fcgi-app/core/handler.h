/* What a handler gets and what it is expected to do. The handlers are in ../handlers, one a file.
 */
#ifndef HANDLER_H
#define HANDLER_H

#include "format.h"
#include "language.h"
#include "parameter.h"
#include "request.h"
#include "response.h"
#include "route.h"
#include "settings.h"

struct context {
    const struct settings *settings;
    const struct request *request;
    enum format requested;         /* by ?format=, FORMAT_NONE when it is absent or means nothing */
    struct parameters *parameters; /* see parameters_read */
};

/*
 * A handler fills response, which comes as response_init leaves it, with its route set. HEAD comes
 * to it as GET would. HEAD's body, OPTIONS, other methods, If-None-Match, and what a route says of
 * bodies are not its business. On an error it calls problem() and returns.
 */
#define ROUTE(handler_, ...) handler handler_;
#include "../routes.def"
#undef ROUTE

/*
 * Makes response an error: status with its reason phrase and detail, a sentence for the client,
 * in the format that the client prefers: text, HTML, or problem details (RFC 9457); with the
 * request's id, for the client to quote.
 */
__attribute__((nonnull)) void problem(const struct context *context, struct response *response,
                                      int status, const char *detail);

/* The same for a 500, with a reason for the log. */
__attribute__((nonnull)) void internal_error(const struct context *context,
                                             struct response *response, const char *reason);

/*
 * The format of the route's that the client asks for, by ?format= or else by Accept. Sets
 * response's content type and whether it varies. FORMAT_NONE when nothing is acceptable, and
 * response is as it was, but for that it varies.
 */
__attribute__((nonnull, warn_unused_result)) enum format
choose_format(const struct context *context, struct response *response);

/*
 * The language that the client asks for, by requested (a tag that there is, or NULL) or else by
 * Accept-Language. Sets response's language and whether it varies.
 */
__attribute__((nonnull(1, 3), returns_nonnull, warn_unused_result)) const struct language *
choose_language(const struct context *context, const char *requested, struct response *response);

/* The error for what choose_format refuses: a 406 that lists the route's formats. */
__attribute__((nonnull)) void not_acceptable(const struct context *context,
                                             struct response *response);

/* The content type, charset included, of a response in format that is no error. */
__attribute__((returns_nonnull)) const char *content_type(enum format format);

#endif
