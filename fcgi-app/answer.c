#include "answer.h"

#include "clock.h"
#include "core/handler.h"
#include "environment.h"
#include "log.h"
#include "metrics.h"
#include "quarantine.h"
#include "reply.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sysexits.h>
#include <unistd.h>

const char *answerer_init(struct answerer *answerer, const struct settings *settings,
                          struct shared *shared, struct slot *slot)
{
    answerer->settings = settings;
    answerer->shared = shared;
    answerer->slot = slot;
    answerer->handover = memfd_create("request", MFD_CLOEXEC);
    if (answerer->handover < 0)
        return "memfd_create";
    if (ftruncate(answerer->handover, REQUEST_SIZE_MAX) < 0)
        return "ftruncate";
    uint8_t *start = mmap(NULL, REQUEST_SIZE_MAX, PROT_WRITE, MAP_SHARED, answerer->handover, 0);
    if (start == MAP_FAILED)
        return "mmap";
    answerer->end = start + REQUEST_SIZE_MAX;
    return FCGX_InitRequest(&answerer->fcgi, -1, 0) == 0 ? NULL : "FCGX_InitRequest";
}

/*
 * Lets libfcgi read a request that has arrived. It reads from a descriptor, and gets one at whose
 * end the request lies. That it refuses what incoming_take let pass does not happen; it would
 * have closed the descriptor.
 */
static void hand_over(struct answerer *answerer, const struct incoming *incoming)
{
    FCGX_Request *fcgi = &answerer->fcgi;
    const size_t size = answerer->size = incoming_print(incoming, answerer->end);
    fcgi->ipcFd = answerer->handover;
    fcgi->keepConnection = 1;
    if (lseek(answerer->handover, -(off_t)size, SEEK_END) < 0 || FCGX_Accept_r(fcgi) < 0) {
        log_line(LOG_ERROR, "libfcgi does not accept a request of %zu bytes", size);
        exit(EX_SOFTWARE);
    }
}

/* The request lives until FCGX_Free. */
static struct request begin_request(struct answerer *answerer, const struct incoming *incoming,
                                    bool draining)
{
    hand_over(answerer, incoming);
    struct request request = request_from(answerer->fcgi.envp);
    request.body = answerer->body;
    request.body_length = incoming->body_length;
    if (request.body_length > 0 && request.body_length <= BODY_KEPT_MAX)
        FCGX_GetStr(answerer->body, (int)request.body_length, answerer->fcgi.in);
    request.body_late = incoming->late;
    request.draining = draining;
    request.defers = answerer->shared->queues && !answerer->slot->activity.waits;
    request.now_ms = wall_clock_ms();
    return request;
}

/* What a request is answered with where its route has no say. */
static size_t print_response(struct answerer *answerer, const struct request *request)
{
    return reply_print(request, &answerer->response, (char *)answerer->records + RECORD_HEADER_SIZE,
                       RESPONSE_MAX);
}

/* One under quarantine is not looked at. */
static size_t reply_or_refuse(struct answerer *answerer, const struct request *request)
{
    struct activity *activity = &answerer->slot->activity;
    size_t length;
    if (!activity->waits)
        answerer->began_ns = now_ns();
    if (quarantine_admit(answerer->shared, activity, request)) {
        length = reply(answerer->settings, request, &answerer->response,
                       (char *)answerer->records + RECORD_HEADER_SIZE, RESPONSE_MAX);
        quarantine_release(answerer->shared, activity, !answerer->response.deferred);
    } else {
        quarantine_answer(request, &answerer->response);
        length = print_response(answerer, request);
    }
    return length;
}

/* Logged once, until one can be handed over again. */
static void note_full(struct answerer *answerer)
{
    if (!answerer->full)
        log_line(LOG_WARNING,
                 "all workers that wait are busy, and so many requests wait for them that "
                 "others are refused; see WAITING_WORKERS");
    answerer->full = true;
}

/* Returns the length of an answer, 0 where there is none, since another worker gives it. */
static size_t defer(struct answerer *answerer, const struct request *request, int connection)
{
    const struct handed handed = {answerer->began_ns, answerer->end - answerer->size,
                                  answerer->size};
    const struct context context = {.request = request,
                                    .requested = target_format(request->target)};
    if (queue_put(&answerer->shared->queue, &handed, connection)) {
        answerer->full = false;
        return 0;
    }
    const bool too_long = errno == EMSGSIZE;
    if (!too_long)
        note_full(answerer);
    problem(&context, &answerer->response, too_long ? 413 : 503,
            too_long ? "The request is too long for this resource."
                     : "Too many requests wait for an answer. Try again.");
    answerer->response.head_only = strcmp(request->method, "HEAD") == 0;
    return print_response(answerer, request);
}

static size_t print_metrics(struct answerer *answerer, const struct request *request)
{
    metrics_answer(answerer->shared, &answerer->response);
    answerer->response.head_only = strcmp(request->method, "HEAD") == 0;
    return print_response(answerer, request);
}

static size_t answer_request(struct answerer *answerer, const struct request *request,
                             int connection)
{
    size_t length = reply_or_refuse(answerer, request);
    if (answerer->response.deferred)
        length = defer(answerer, request, connection);
    if (length > 0)
        metrics_count(&answerer->slot->traffic, request, &answerer->response,
                      now_ns() - answerer->began_ns);
    return length;
}

size_t answer(struct answerer *answerer, const struct incoming *incoming, int connection,
              bool draining)
{
    const struct request request = begin_request(answerer, incoming, draining);
    const size_t length = request.metrics ? print_metrics(answerer, &request)
                                          : answer_request(answerer, &request, connection);
    FCGX_Free(&answerer->fcgi, false); /* FCGX_Finish_r would write an answer of its own */
    return length > 0 ? answer_wrap(answerer->records, length, incoming->id) : 0;
}
