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

#endif
