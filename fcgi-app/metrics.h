/*
 * The figures of the service, in the memory that its processes share: counted by the workers,
 * summed and printed by the one that is asked, in Prometheus' text format, version 0.0.4. What they
 * mean is in docs/metrics.md. No label has a value that a client could choose.
 */
#ifndef METRICS_H
#define METRICS_H

#include "core/request.h"
#include "core/response.h"
#include "shared.h"

#include <sys/resource.h>

/* Worker: counts a request that it has answered within so many nanoseconds. */
__attribute__((nonnull)) void metrics_count(struct traffic *traffic, const struct request *request,
                                            const struct response *response, int64_t duration_ns);

/* Parent: notes what a process has used up to now, once all earlier ones in its slot have used
 * usage->earlier_ns. */
__attribute__((nonnull)) void metrics_look(pid_t pid, struct usage *usage);

/* Parent: notes what a process has used in all, which has ended and of which usage is the slot's.
 */
__attribute__((nonnull)) void metrics_bury(const struct rusage *used, struct usage *usage);

/* Makes response the metrics, without the requests that nobody made: a client can make 212 series
 * of those, of some 110 bytes each. */
__attribute__((nonnull)) void metrics_answer(const struct shared *shared,
                                             struct response *response);

#endif
