/* One worker process. */
#ifndef WORKER_H
#define WORKER_H

#include "core/settings.h"
#include "shared.h"

enum { DRAIN_MS = 1000 }; /* for what is under way when a worker stops */

/*
 * What a worker process does: answers requests from the listening socket until it is told to stop,
 * by the signals of service_run, all of which must be blocked. slot is its own in shared. Returns
 * an exit status.
 */
__attribute__((nonnull, warn_unused_result)) int
worker_run(const struct settings *settings, struct shared *shared, struct slot *slot);

#endif
