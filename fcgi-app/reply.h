/* One request from its variables to its bytes, with what the log says about it. */
#ifndef REPLY_H
#define REPLY_H

#include "core/respond.h"

#include <stddef.h>

/*
 * Answers request: fills response, and writes it to bytes as response_print does, whose result it
 * returns. Logs why an answer is a 500, and with LOG_LEVEL=debug every request with its duration.
 */
__attribute__((nonnull, warn_unused_result)) size_t reply(const struct settings *settings,
                                                          const struct request *request,
                                                          struct response *response, char *bytes,
                                                          size_t size);

#endif
