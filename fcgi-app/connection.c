#include "connection.h"

#include <errno.h>
#include <fastcgi.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    STALL_MS = 5000, /* without a byte of the rest of a request, which nginx sends at once */
};

static void close_connection(struct worker *worker, struct connection *connection)
{
    if (connection->fd >= 0)
        close(connection->fd);
    connection->fd = -1;
    incoming_reset(&connection->incoming);
    connection->next_free = worker->free;
    worker->free = connection;
    worker->open--;
}

static bool send_all(const struct connection *connection, const uint8_t *bytes, size_t size)
{
    return send(connection->fd, bytes, size, MSG_NOSIGNAL) == (ssize_t)size;
}

/* Answers the request that has arrived. false when the connection is of no use any more. */
static bool answer_request(struct worker *worker, struct connection *connection)
{
    struct incoming *incoming = &connection->incoming;
    const bool draining = worker->stop != STOP_NO || atomic_load(&worker->shared->draining);
    const size_t length = answer(&worker->answerer, incoming, draining);
    const bool useful = incoming_keeps(incoming) && incoming->body_length <= BODY_MAX;
    connection->answered = true;
    connection->stall_ms = 0;
    incoming_reset(incoming);
    return send_all(connection, worker->answerer.records, length) && useful;
}

static bool answer_management(struct worker *worker, struct connection *connection)
{
    uint8_t reply[MANAGEMENT_SIZE];
    const size_t size = management_answer(
        connection->incoming.kept, (unsigned)worker->settings->workers * CONNECTIONS_MAX, reply);
    incoming_reset(&connection->incoming);
    connection->stall_ms = 0;
    return send_all(connection, reply, size);
}

static bool refuse_multiplexed(const struct connection *connection)
{
    uint8_t reply[REFUSAL_SIZE];
    multiplexed_answer(&connection->incoming, reply);
    return send_all(connection, reply, sizeof(reply));
}

static void expect_rest(struct worker *worker, struct connection *connection)
{
    connection->stall_ms = now_ms() + STALL_MS;
    if (worker->stall_ms == 0)
        worker->stall_ms = connection->stall_ms;
}

/* Serves what has been read from a connection. false when it is of no use any more, as it is
 * behind a request that the web server did not wait to be answered before it sent another. */
static bool serve(struct worker *worker, struct connection *connection, size_t length)
{
    size_t used;
    connection->answered = false;
    for (size_t at = 0; at < length; at += used) {
        struct incoming *incoming = &connection->incoming;
        switch (incoming_take(incoming, worker->read + at, length - at, &used)) {
        case ARRIVAL_REQUEST:
            return incoming_has_pairs(incoming) && answer_request(worker, connection) &&
                   at + used == length;
        case ARRIVAL_MANAGEMENT:
            if (!answer_management(worker, connection))
                return false;
            break;
        case ARRIVAL_MULTIPLEXED:
            if (!refuse_multiplexed(connection))
                return false;
            break;
        case ARRIVAL_PARTIAL:
            expect_rest(worker, connection);
            break;
        default:
            return false;
        }
    }
    return true;
}

void read_connection(struct worker *worker, struct connection *connection)
{
    const ssize_t length = recv(connection->fd, worker->read, sizeof(worker->read), 0);
    if (length < 0 && errno == EAGAIN)
        return;
    if (length <= 0 || !serve(worker, connection, (size_t)length))
        close_connection(worker, connection);
}

void close_stalled(struct worker *worker)
{
    const int64_t now = now_ms();
    worker->stall_ms = 0;
    for (int i = 0; i < CONNECTIONS_MAX; i++) {
        struct connection *connection = &worker->connections[i];
        if (connection->fd < 0 || connection->stall_ms == 0)
            continue;
        if (connection->stall_ms <= now)
            close_connection(worker, connection);
        else if (worker->stall_ms == 0 || connection->stall_ms < worker->stall_ms)
            worker->stall_ms = connection->stall_ms;
    }
}

void close_connections(struct worker *worker, bool idle_only)
{
    for (int i = 0; i < CONNECTIONS_MAX; i++)
        if (worker->connections[i].fd >= 0 && (worker->connections[i].answered || !idle_only))
            close_connection(worker, &worker->connections[i]);
}
