/* The pure core: a request goes in, a response comes out. */
#ifndef RESPOND_H
#define RESPOND_H

#include "request.h"
#include "response.h"
#include "settings.h"

/*
 * Answers request: checks it, routes it by its path, runs the handler, and applies what holds for
 * all of them (HEAD, OPTIONS, other methods, conditional requests, errors). Every request gets an
 * answer, and the whole of response is set. No I/O and no globals; the only memory taken is
 * jansson's for JSON, which is released before the return.
 */
__attribute__((nonnull)) void respond(const struct settings *settings,
                                      const struct request *request, struct response *response);

enum { ROUTES = 4, METHODS = 10 };

extern const struct route routes[ROUTES];

/* Whether workers are needed that may wait. */
__attribute__((warn_unused_result)) bool any_route_waits(void);

/* The methods that are known here, though not allowed everywhere: those of RFC 9110, PATCH (RFC
 * 5789), and last a name for all others. None of the names is the client's, so that a metric may
 * be counted by them. */
extern const char *const methods[METHODS];

/* The position of a method in methods. */
__attribute__((nonnull, warn_unused_result)) size_t method_index(const char *method);

#endif
