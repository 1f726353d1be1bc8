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

/* The sum over all slots, and the rest as it is. */
struct metrics {
    struct traffic traffic;
    struct usage usage; /* of the parent and its workers, who are what a scraper calls a process */
    uint64_t active;    /* requests in hand */
    uint64_t started, exited, killed, hung; /* workers */
    uint64_t start_time_ms;                 /* since 1970 */
    uint64_t descriptors_max;               /* of a worker */
};

/* Worker: counts a request that it has answered within so many nanoseconds. */
__attribute__((nonnull)) void metrics_count(struct traffic *traffic, const struct request *request,
                                            const struct response *response, int64_t duration_ns);

/* Worker: notes how many descriptors it has before it has connections. */
__attribute__((nonnull)) void metrics_note_descriptors(struct usage *usage);

/* Parent: notes what a process has used up to now, once all earlier ones in its slot have used
 * usage->earlier_ns. */
__attribute__((nonnull)) void metrics_look(pid_t pid, struct usage *usage);

/* What the workers' slots hold now. */
__attribute__((nonnull)) void metrics_take(const struct shared *shared, int workers,
                                           struct metrics *metrics);

/* Appends all series that are not zero. A client can make 212 of requests, of some 110 bytes. */
__attribute__((nonnull)) void metrics_print(const struct metrics *metrics, struct text *text);

/* Makes response the metrics. */
__attribute__((nonnull)) void metrics_answer(const struct shared *shared, int workers,
                                             const struct request *request,
                                             struct response *response);

#endif
