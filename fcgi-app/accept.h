/* Which worker takes a new connection, and when. docs/design.md says how they share. */
#ifndef ACCEPT_H
#define ACCEPT_H

#include "connection.h"

/*
 * Finds out how many connections the worker may have, which depends on its descriptors, of which
 * all that it keeps must be open, and begins to wait for connections. NULL, or what was refused,
 * and errno.
 */
__attribute__((nonnull, warn_unused_result)) const char *accept_init(struct worker *worker);

/* Takes a connection that waits, unless another worker was faster. */
__attribute__((nonnull)) void accept_connection(struct worker *worker);

/* Begins to wait for connections again, where it was given up and is due. */
__attribute__((nonnull)) void accept_again(struct worker *worker);

/* For how many milliseconds nothing need be done about it, -1: for ever. */
__attribute__((nonnull, warn_unused_result)) int accept_patience_ms(const struct worker *worker);

#endif
