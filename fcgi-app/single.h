/* One request at a time, in one process: for plain CGI, and for single-stepping in a debugger. */
#ifndef SINGLE_H
#define SINGLE_H

#include "core/settings.h"

/*
 * Answers requests one after the other: from the FastCGI socket that is file descriptor 0 until
 * SIGTERM or SIGINT, or, where that is no such socket, the one CGI request in the environment
 * (RFC 3875). No signal cuts short a request body or a response. Returns 0.
 */
__attribute__((nonnull, warn_unused_result)) int single_run(const struct settings *settings);

#endif
