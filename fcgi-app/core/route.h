/* A route: a path, who answers there, and all that the service needs to know of it. They
 * are in ../routes.def. */
#ifndef ROUTE_H
#define ROUTE_H

#include "format.h"
#include "target.h"

#include <stdbool.h>
#include <stddef.h>

/* The methods that are known here, though not allowed everywhere: those of RFC 9110 and PATCH (RFC
 * 5789). The last stands for all others. */
enum method {
    METHOD_GET,
    METHOD_HEAD,
    METHOD_OPTIONS,
    METHOD_POST,
    METHOD_PUT,
    METHOD_DELETE,
    METHOD_PATCH,
    METHOD_CONNECT,
    METHOD_TRACE,
    METHOD_OTHER,
    METHODS
};

/* Their names. None is the client's, so that a metric may be counted by them. */
extern const char *const methods[METHODS];

/* The position of a method in methods. */
__attribute__((nonnull, warn_unused_result)) enum method method_index(const char *method);

/* What routes.def says of methods, of formats, and of media types. */
enum {
    GET = 1 << METHOD_GET,
    POST = 1 << METHOD_POST,
    PUT = 1 << METHOD_PUT,
    DELETE = 1 << METHOD_DELETE,
    PATCH = 1 << METHOD_PATCH,
    AS_TEXT = 1 << FORMAT_TEXT,
    AS_HTML = 1 << FORMAT_HTML,
    AS_JSON = 1 << FORMAT_JSON,
};
#define FORM_TYPE "application/x-www-form-urlencoded"
#define JSON_TYPE "application/json"

enum { BODY_TYPES_MAX = 4 };

struct context;
struct response;

/* See handler.h. */
typedef void handler(const struct context *context, struct response *response);

struct route {
    const char *path; /* segments, of which one may be a {parameter}: any text but "" . .. */
    handler *handle;  /* answers all methods but OPTIONS */
    unsigned methods; /* GET | POST | ...; HEAD comes with GET, and OPTIONS everywhere */
    unsigned formats; /* AS_TEXT | AS_HTML | AS_JSON, of which ?format= and Accept choose */
    bool is_public;   /* the scripts of any origin may read the answers (CORS) */
    bool waits;       /* the handler may block: for a database, another service */
    size_t body_max;  /* bytes of a body, at most BODY_KEPT_MAX; 0: none is kept */
    const char *body_types[BODY_TYPES_MAX + 1]; /* media types that it may have, then NULL */
};

enum {
#define ROUTE(...) +1
    ROUTES = 0
#include "../routes.def"
#undef ROUTE
};

extern const struct route routes[ROUTES];

/*
 * The first route that fits a target, NULL where there is none. The text of its {parameter}, if it
 * has one, is added to the target's parameters; fault says so (400) where there are too many.
 */
__attribute__((nonnull, warn_unused_result)) const struct route *route_to(struct target *target,
                                                                          struct fault *fault);

/* Whether workers are needed that may wait. */
__attribute__((warn_unused_result)) bool any_route_waits(void);

/* Whether a route allows the method, HEAD and OPTIONS included. */
__attribute__((nonnull, warn_unused_result)) bool route_allows(const struct route *route,
                                                               enum method method);

/* Whether a route reads the body of such a request. */
__attribute__((nonnull, warn_unused_result)) bool route_takes_body(const struct route *route,
                                                                   enum method method);

/* The names of the methods that a route allows, then NULL. */
__attribute__((nonnull)) void route_methods(const struct route *route,
                                            const char *allowed[METHODS + 1]);

#endif
