/* The environment variables that configure the responder, and the CGI variables of a request. */
#ifndef ENVIRONMENT_H
#define ENVIRONMENT_H

#include "core/request.h"
#include "core/settings.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/*
 * Reads the settings from the environment; their strings point into it. false when a variable has
 * a value that is not allowed: problem, one line cut to size bytes, then names the variable, the
 * value and what is allowed. To be called before the first accept, since libfcgi's stdio flavour
 * replaces environ by the request's variables.
 */
__attribute__((nonnull, warn_unused_result)) bool settings_read(struct settings *settings,
                                                                char *problem, size_t size);

/* Prints a line for each setting of the service: what is allowed, the default, what it is for. */
__attribute__((nonnull)) void settings_tell(FILE *out);

/*
 * The request that an array of "NAME=value" strings ending in NULL describes; its strings point
 * into the array. body_length and draining are left for the caller to set.
 */
__attribute__((nonnull, warn_unused_result)) struct request request_from(char *const *variables);

#endif
