/* One request from its variables to its bytes, with what the log says about it. */
#ifndef REPLY_H
#define REPLY_H

#include "core/respond.h"

#include <stddef.h>

/*
 * Writes response to bytes as response_print does, whose result it returns. All answers leave by
 * it, so that it can log each 500: its route, or where it took none its target, and its reason.
 */
__attribute__((nonnull, warn_unused_result)) size_t reply_print(const struct request *request,
                                                                const struct response *response,
                                                                char *bytes, size_t size);

/*
 * Answers request: fills response, and writes it as reply_print does. With LOG_LEVEL=debug every
 * request is logged with its duration.
 */
__attribute__((nonnull, warn_unused_result)) size_t reply(const struct settings *settings,
                                                          const struct request *request,
                                                          struct response *response, char *bytes,
                                                          size_t size);

#endif
