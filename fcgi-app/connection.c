#include "connection.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

_Static_assert(ANSWER_SIZE_MAX(RESPONSE_MAX) >= MANAGEMENT_SIZE && MANAGEMENT_SIZE >= END_SIZE,
               "every answer fits where answers are made");

/* What is due on a connection: records in worker->answerer, and whether that is all. */
struct reply {
    size_t length;
    bool last;
};

void cannot_go_on(struct worker *worker, const char *call)
{
    worker->slot->activity.error = errno;
    worker->slot->activity.unavailable = call;
    worker->stop = STOP_NOW;
}

static bool watch(const struct worker *worker, struct connection *connection, int operation,
                  uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = connection};
    return epoll_ctl(worker->epoll, operation, connection->fd, &event) == 0;
}

static void set_deadline(struct worker *worker, struct connection *connection, int ms)
{
    connection->deadline_ms = now_ms() + ms;
    if (worker->deadline_ms == 0 || connection->deadline_ms < worker->deadline_ms)
        worker->deadline_ms = connection->deadline_ms;
}

static void set_idle(struct worker *worker, struct connection *connection, bool idle)
{
    if (connection->idle_since > 0)
        worker->idle--;
    connection->idle_since = idle ? ++worker->turns : 0;
    if (idle)
        worker->idle++;
}

static void set_open(struct worker *worker, unsigned open)
{
    worker->open = open;
    atomic_store_explicit(&worker->slot->traffic.connections, open, memory_order_relaxed);
}

bool open_connection(struct worker *worker, int fd)
{
    struct connection *connection = worker->free;
    connection->fd = fd;
    if (!watch(worker, connection, EPOLL_CTL_ADD, EPOLLIN)) {
        connection->fd = -1;
        close(fd);
        return false;
    }
    worker->free = connection->next_free;
    worker->refused = false;
    connection->last = false;
    set_deadline(worker, connection, REQUEST_MS);
    set_open(worker, worker->open + 1);
    return true;
}

static void close_connection(struct worker *worker, struct connection *connection)
{
    close(connection->fd);
    connection->fd = -1;
    set_idle(worker, connection, false);
    incoming_reset(&connection->incoming);
    free(connection->backlog);
    connection->backlog = NULL;
    connection->next_free = worker->free;
    worker->free = connection;
    set_open(worker, worker->open - 1);
}

/* --- What is answered ----------------------------------------------------------------------- */

static struct reply reply_to_request(struct worker *worker, struct connection *connection)
{
    struct incoming *incoming = &connection->incoming;
    if (!incoming_has_pairs(incoming))
        return (struct reply){.last = true};
    const bool stopping = worker->stop != STOP_NO;
    const bool draining = stopping || atomic_load(&worker->shared->draining);
    const bool keeps = incoming_keeps(incoming);
    size_t length = answer(&worker->answerer, incoming, connection->fd, draining);
    const bool last = stopping || length == 0 || worker->slot->activity.waits || !keeps ||
                      incoming->late || incoming->body_length > BODY_MAX;
    /* Or it would be in the epoll set for as long as somebody has it. */
    if (length == 0 && !watch(worker, connection, EPOLL_CTL_DEL, 0))
        cannot_go_on(worker, "epoll_ctl");
    else if (length > 0 && last && keeps)
        length += farewell(worker->answerer.records + length);
    incoming_reset(incoming);
    connection->deadline_ms = 0;
    return (struct reply){length, last};
}

static struct reply reply_to_management(struct worker *worker, const struct incoming *incoming)
{
    const unsigned connections = (unsigned)worker->settings->workers * worker->places;
    return (struct reply){.length =
                              management_answer(incoming, connections, worker->answerer.records)};
}

static struct reply reply_to(struct worker *worker, struct connection *connection,
                             enum arrival arrival)
{
    struct incoming *incoming = &connection->incoming;
    switch (arrival) {
    case ARRIVAL_PARTIAL:
        return (struct reply){.length = 0};
    case ARRIVAL_REQUEST:
        return reply_to_request(worker, connection);
    case ARRIVAL_MANAGEMENT:
        return reply_to_management(worker, incoming);
    case ARRIVAL_ENDED:
        return (struct reply){ended_answer(incoming, worker->answerer.records),
                              !incoming->ended.keeps};
    default:
        return (struct reply){.last = true};
    }
}

/* --- What is sent, and what has to wait ----------------------------------------------------- */

static bool keep_waiting(struct worker *worker, struct connection *connection,
                         const struct backlog *lengths, const uint8_t *output, const uint8_t *input)
{
    struct backlog *backlog = malloc(sizeof(*backlog) + lengths->output + lengths->input);
    if (!backlog)
        return false;
    *backlog = *lengths;
    memcpy(backlog->bytes, output, lengths->output);
    memcpy(backlog->bytes + lengths->output, input, lengths->input);
    connection->backlog = backlog;
    set_deadline(worker, connection, SEND_MS);
    return watch(worker, connection, EPOLL_CTL_MOD, EPOLLOUT);
}

/* Sends a reply. What the socket has no room for waits for it, and so does the input, which may
 * hold the next request. */
static bool send_reply(struct worker *worker, struct connection *connection, struct reply reply,
                       const uint8_t *input, size_t length)
{
    const uint8_t *records = worker->answerer.records;
    if (reply.length == 0)
        return true;
    const ssize_t sent = send(connection->fd, records, reply.length, MSG_NOSIGNAL);
    if (sent == (ssize_t)reply.length)
        return true;
    if (sent < 0 && errno != EAGAIN)
        return false;
    const size_t begun = sent > 0 ? (size_t)sent : 0;
    const struct backlog lengths = {.output = reply.length - begun, .input = length};
    return keep_waiting(worker, connection, &lengths, records + begun, input);
}

/* Behind what has been taken of a connection's input. */
static void await_more(struct worker *worker, struct connection *connection)
{
    if (connection->backlog)
        return;
    if (!incoming_is_empty(&connection->incoming)) {
        if (connection->deadline_ms == 0) /* what comes in drops gets no more time by it */
            set_deadline(worker, connection, REQUEST_MS);
        return;
    }
    connection->deadline_ms = 0;
    incoming_reset(&connection->incoming);
    set_idle(worker, connection, true);
}

static void serve(struct worker *worker, struct connection *connection, const uint8_t *bytes,
                  size_t length)
{
    size_t used;
    set_idle(worker, connection, false);
    for (size_t at = 0; at < length && !connection->backlog; at += used) {
        const enum arrival arrival =
            incoming_take(&connection->incoming, bytes + at, length - at, &used);
        const struct reply reply = reply_to(worker, connection, arrival);
        connection->last = reply.last;
        if (!send_reply(worker, connection, reply, bytes + at + used, length - at - used) ||
            (reply.last && !connection->backlog)) {
            close_connection(worker, connection);
            return;
        }
    }
    await_more(worker, connection);
}

static void send_backlog(struct worker *worker, struct connection *connection)
{
    struct backlog *backlog = connection->backlog;
    const ssize_t sent = send(connection->fd, backlog->bytes + backlog->sent,
                              backlog->output - backlog->sent, MSG_NOSIGNAL);
    if (sent < 0 && errno == EAGAIN)
        return;
    backlog->sent += sent > 0 ? (size_t)sent : 0;
    if (sent > 0 && backlog->sent < backlog->output)
        return;
    if (sent <= 0 || connection->last || !watch(worker, connection, EPOLL_CTL_MOD, EPOLLIN)) {
        close_connection(worker, connection);
        return;
    }
    connection->backlog = NULL;
    connection->deadline_ms = 0;
    serve(worker, connection, backlog->bytes + backlog->output, backlog->input);
    free(backlog);
}

const char *take_request(struct worker *worker)
{
    static uint8_t records[HANDED_OVER_MAX];
    struct handed request = {.records = records, .length = sizeof(records)};
    struct connection *connection = worker->free;
    const int fd = queue_take(&worker->shared->queue, &request);
    if (fd < 0)
        return errno == EAGAIN ? NULL : "recvmsg";
    worker->answerer.began_ns = request.began_ns;
    if (!open_connection(worker, fd))
        return "epoll_ctl";
    serve(worker, connection, request.records, request.length);
    return NULL;
}

void serve_connection(struct worker *worker, struct connection *connection)
{
    if (connection->fd < 0)
        return; /* closed behind an event that was fetched before */
    if (connection->backlog) {
        send_backlog(worker, connection);
        return;
    }
    const ssize_t length = recv(connection->fd, worker->read, sizeof(worker->read), 0);
    if (length > 0 && connection->last)
        return; /* the rest of what was answered already */
    if (length > 0)
        serve(worker, connection, worker->read, (size_t)length);
    else if (length == 0 || errno != EAGAIN)
        close_connection(worker, connection);
}

/* --- What is closed ------------------------------------------------------------------------- */

/* A body that is late gets an answer. It is small, and what the socket has no room for is lost. The
 * peer may be sending: a web server whose write fails does not look for an answer, so the
 * connection is closed for what goes out only, and what comes in is dropped for a while. */
static bool answer_late(struct worker *worker, struct connection *connection)
{
    connection->incoming.late = true;
    const struct reply reply = reply_to_request(worker, connection);
    connection->last = true;
    set_deadline(worker, connection, SEND_MS);
    return send(connection->fd, worker->answerer.records, reply.length, MSG_NOSIGNAL) > 0 &&
           shutdown(connection->fd, SHUT_WR) == 0;
}

static void give_up(struct worker *worker, struct connection *connection)
{
    if (connection->backlog || !incoming_awaits_body(&connection->incoming) ||
        !answer_late(worker, connection))
        close_connection(worker, connection);
}

void close_overdue(struct worker *worker)
{
    const int64_t now = now_ms();
    worker->deadline_ms = 0;
    for (int i = 0; i < CONNECTIONS_MAX; i++) {
        struct connection *connection = &worker->connections[i];
        if (connection->fd < 0 || connection->deadline_ms == 0)
            continue;
        if (connection->deadline_ms <= now)
            give_up(worker, connection);
        else if (worker->deadline_ms == 0 || connection->deadline_ms < worker->deadline_ms)
            worker->deadline_ms = connection->deadline_ms;
    }
}

static bool is_idle(const struct connection *connection)
{
    char byte;
    return connection->idle_since > 0 && recv(connection->fd, &byte, 1, MSG_PEEK) <= 0;
}

bool close_oldest_idle(struct worker *worker)
{
    struct connection *oldest = NULL;
    for (int i = 0; i < CONNECTIONS_MAX; i++) {
        struct connection *connection = &worker->connections[i];
        if (connection->idle_since > 0 && (!oldest || connection->idle_since < oldest->idle_since))
            oldest = connection;
    }
    if (!oldest || !is_idle(oldest))
        return false;
    close_connection(worker, oldest);
    return true;
}

void close_idle(struct worker *worker)
{
    for (int i = 0; i < CONNECTIONS_MAX; i++)
        if (is_idle(&worker->connections[i]))
            close_connection(worker, &worker->connections[i]);
}

void close_all(struct worker *worker)
{
    for (int i = 0; i < CONNECTIONS_MAX; i++)
        if (worker->connections[i].fd >= 0)
            close_connection(worker, &worker->connections[i]);
}
