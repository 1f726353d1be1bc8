/* Service mode: one parent that owns the listening socket, and workers that answer. */
#ifndef SERVICE_H
#define SERVICE_H

#include "core/settings.h"
#include "shared.h"

/*
 * Serves on the listening socket that is file descriptor 0 (FCGI_LISTENSOCK_FILENO) with
 * settings->workers processes until it is told to stop: SIGTERM and SIGINT drain (bounded by
 * 2 seconds), SIGQUIT stops behind the requests in hand. Replaces a worker that dies at once.
 * Returns an exit status of <sysexits.h>: 0 after a stop, EX_SOFTWARE when workers keep dying as
 * soon as they start, EX_OSERR when the system refuses what the service or its first workers need.
 */
__attribute__((nonnull, warn_unused_result)) int service_run(const struct settings *settings);

#endif
