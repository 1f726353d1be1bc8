/*
 * Requests that workers do not survive. One that has ended a worker twice within ten minutes, by a
 * crash or by hanging it, is refused for a minute, so that it cannot take all workers down by
 * being repeated. Then one worker tries it, alone: if it survives, all is forgotten.
 */
#ifndef QUARANTINE_H
#define QUARANTINE_H

#include "core/request.h"
#include "core/response.h"
#include "shared.h"

enum { QUARANTINE_DEATHS = 2, QUARANTINE_MS = 60 * 1000 };

/*
 * Worker: takes request in hand. false when it is under quarantine: then it is to be answered by
 * quarantine_answer, and nothing of it may be looked at. A worker that waits is not asked again
 * about what was handed to it. quarantine_release in any case, when it is answered or handed over.
 */
__attribute__((nonnull, warn_unused_result)) bool
quarantine_admit(struct shared *shared, struct activity *activity, const struct request *request);
__attribute__((nonnull)) void quarantine_release(struct shared *shared, struct activity *activity,
                                                 bool survived);

/* Makes response the 500 for a request under quarantine: as text whatever the client prefers, since
 * looking at what it prefers may be what the others died of. */
__attribute__((nonnull)) void quarantine_answer(const struct request *request,
                                                struct response *response);

/*
 * Parent: a worker has died of the request of that fingerprint. true when it is refused from now
 * on.
 */
__attribute__((nonnull, warn_unused_result)) bool quarantine_suspect(struct shared *shared,
                                                                     uint64_t fingerprint);

#endif
