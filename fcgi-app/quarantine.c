#include "quarantine.h"

#include "clock.h"
#include "core/handler.h"
#include "core/hash.h"

#include <string.h>

enum { SUSPICION_MS = 10 * 60 * 1000 }; /* a worker's death is remembered for so long */

static uint64_t mix(uint64_t hash, const char *string)
{
    return hash_bytes(hash, string ? string : "", string ? strlen(string) + 1 : 0);
}

/* Of all that an answer depends on, but for what differs between any two requests: their ids. */
static uint64_t fingerprint_of(const struct request *request)
{
    uint64_t hash = request->body_length;
    hash = mix(hash, request->method);
    hash = mix(hash, request->target);
    hash = mix(hash, request->accept);
    hash = mix(hash, request->accept_language);
    hash = mix(hash, request->if_match);
    hash = mix(hash, request->if_none_match);
    hash = mix(hash, request->content_length);
    hash = mix(hash, request->content_type);
    hash = mix(hash, request->content_encoding);
    if (request->body && request->body_length <= BODY_KEPT_MAX)
        hash = hash_bytes(hash, request->body, request->body_length);
    return hash ? hash : 1;
}

static struct suspect *find(struct shared *shared, uint64_t fingerprint)
{
    for (int i = 0; i < SUSPECTS_MAX; i++)
        if (atomic_load_explicit(&shared->suspects[i].fingerprint, memory_order_acquire) ==
            fingerprint)
            return &shared->suspects[i];
    return NULL;
}

/* Whether a suspect that is refused may be tried: once a minute. */
static bool may_try(struct suspect *suspect)
{
    uint64_t until_ms = atomic_load(&suspect->until_ms);
    const uint64_t now = (uint64_t)now_ms();
    return now >= until_ms &&
           atomic_compare_exchange_strong(&suspect->until_ms, &until_ms, now + QUARANTINE_MS);
}

/* Its last byte stays the NUL that it has been from the first. */
static void show(char *shown, size_t size, const char *string)
{
    memccpy(shown, string ? string : "", '\0', size - 1);
}

bool quarantine_admit(struct shared *shared, struct activity *activity,
                      const struct request *request)
{
    const uint64_t fingerprint = fingerprint_of(request);
    struct suspect *suspect = find(shared, fingerprint);
    const bool refused = suspect && atomic_load(&suspect->until_ms) > 0;
    activity->trial = false;
    if (refused && !activity->waits && !may_try(suspect))
        return false;
    activity->trial = refused;
    show(activity->method, sizeof(activity->method), request->method);
    show(activity->target, sizeof(activity->target), request->target);
    show(activity->request_id, sizeof(activity->request_id), request->request_id);
    atomic_store_explicit(&activity->fingerprint, fingerprint, memory_order_release);
    count(&activity->beat, 1);
    return true;
}

void quarantine_release(struct shared *shared, struct activity *activity, bool survived)
{
    uint64_t fingerprint = atomic_load_explicit(&activity->fingerprint, memory_order_relaxed);
    struct suspect *tried = survived && activity->trial ? find(shared, fingerprint) : NULL;
    atomic_store_explicit(&activity->fingerprint, 0, memory_order_release);
    if (tried)
        atomic_compare_exchange_strong(&tried->fingerprint, &fingerprint, 0);
}

void quarantine_answer(const struct request *request, struct response *response)
{
    const struct context context = {.request = request, .requested = FORMAT_TEXT};
    response_init(response);
    problem(&context, response, 500,
            "This request has ended the process that answered it, twice. "
            "It is refused for a minute.");
    response->failure = "the workers that took this request did not survive it";
    response->head_only = strcmp(request->method, "HEAD") == 0;
}

/* Up to when a suspect is of interest: it has died, or is refused. */
static int64_t interest_ms(const struct suspect *suspect)
{
    const int64_t until_ms = (int64_t)atomic_load(&suspect->until_ms);
    if (atomic_load(&suspect->fingerprint) == 0)
        return 0;
    return until_ms > suspect->last_ms ? until_ms : suspect->last_ms;
}

/* The one that has been of no interest for the longest time. */
static struct suspect *replaceable(struct shared *shared)
{
    struct suspect *oldest = &shared->suspects[0];
    for (int i = 1; i < SUSPECTS_MAX; i++)
        if (interest_ms(&shared->suspects[i]) < interest_ms(oldest))
            oldest = &shared->suspects[i];
    return oldest;
}

static struct suspect *new_suspect(struct shared *shared, uint64_t fingerprint)
{
    struct suspect *suspect = replaceable(shared);
    atomic_store(&suspect->fingerprint, 0);
    atomic_store(&suspect->until_ms, 0);
    suspect->deaths = 0;
    atomic_store(&suspect->fingerprint, fingerprint);
    return suspect;
}

bool quarantine_suspect(struct shared *shared, uint64_t fingerprint)
{
    struct suspect *suspect = find(shared, fingerprint);
    const int64_t now = now_ms();
    if (!suspect)
        suspect = new_suspect(shared, fingerprint);
    suspect->deaths = now - suspect->last_ms > SUSPICION_MS ? 1 : suspect->deaths + 1;
    suspect->last_ms = now;
    if (suspect->deaths < QUARANTINE_DEATHS)
        return false;
    atomic_store(&suspect->until_ms, (uint64_t)(now + QUARANTINE_MS));
    return true;
}
