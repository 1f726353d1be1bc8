/* How workers share connections that are kept: none gets more than 1.5 times what would be fair. */
#include "client.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>

enum { MOST = 1000 };

static struct client *clients[MOST];

/* How they come: at once with their requests, as from nginx; at once; or one by one. */
enum arrival { ASKING, CONNECTING, ONE_BY_ONE };

static void connect_all(struct responder *responder, unsigned count, enum arrival how)
{
    for (unsigned i = 0; i < count; i++) {
        clients[i] = client_open(responder);
        if (how != CONNECTING)
            client_ask(clients[i], &kept);
        if (how == ONE_BY_ONE)
            expect_answer(clients[i], 200, "Hello World\n");
    }
    for (unsigned i = 0; i < count && how == CONNECTING; i++)
        client_ask(clients[i], &kept);
    for (unsigned i = 0; i < count && how != ONE_BY_ONE; i++)
        expect_answer(clients[i], 200, "Hello World\n");
}

static void expect_fair_shares(const struct responder *responder, unsigned count)
{
    char shares[256] = "";
    unsigned most = 0, sum = 0;
    for (unsigned i = 0, at = 0; i < responder->workers; i++) {
        const unsigned share = connections_of(responder, i);
        at += (unsigned)snprintf(shares + at, sizeof(shares) - at, " %u", share);
        most = share > most ? share : most;
        sum += share;
    }
    assert_int_equal(count, sum);
    if (2 * most * responder->workers > 3 * count)
        fail_msg("one of %u workers has %u of %u connections, which are shared:%s",
                 responder->workers, most, count, shares);
}

static void expect_fair_sharing(void **state, unsigned workers, unsigned count)
{
    if (!enough_descriptors())
        skip();
    struct responder *responder = serve(state, workers);
    for (enum arrival how = ASKING; how <= ONE_BY_ONE; how++) {
        connect_all(responder, count, how);
        expect_fair_shares(responder, count);
        for (unsigned i = 0; i < count; i++)
            client_close(clients[i]);
        for (unsigned i = 0; i < workers; i++)
            await(connections_of(responder, i) == 0, "all connections are to be closed");
    }
    expect_unharmed(responder);
}

#define SHARED(count, workers)                                                                     \
    static void _##count##_connections_are_shared_by_##workers(void **state)                       \
    {                                                                                              \
        expect_fair_sharing(state, workers, count);                                                \
    }

SHARED(64, 2)
SHARED(64, 4)
SHARED(64, 8)
SHARED(256, 2)
SHARED(256, 4)
SHARED(256, 8)
SHARED(1000, 2)
SHARED(1000, 4)
SHARED(1000, 8)

static bool is_closed(const struct client *client)
{
    struct pollfd end = {.fd = client->fd, .events = POLLRDHUP};
    return poll(&end, 1, 0) > 0;
}

/* The web server connects again where it has lost a connection, before there is another worker. */
static void expect_sharing_after_a_kill(struct responder *responder, unsigned count)
{
    const pid_t victim = responder->worker[0];
    unsigned lost = 0;
    connect_all(responder, count, ASKING);
    const unsigned had = connections_of(responder, 0);
    kill(victim, SIGKILL);
    for (unsigned i = 0; lost < had; i = (i + 1) % count) {
        if (!is_closed(clients[i]))
            continue;
        client_close(clients[i]);
        client_ask(clients[i] = client_open(responder), &kept);
        lost++;
    }
    await_replacement(responder, victim);
    for (unsigned i = 0; i < count; i++)
        if (!clients[i]->answered)
            expect_answer(clients[i], 200, "Hello World\n");
    expect_fair_shares(responder, count);
    expect_unharmed(responder);
}

static void a_worker_that_replaces_another_gets_its_share(void **state)
{
    expect_sharing_after_a_kill(serve(state, 2), 64);
}

static void a_worker_that_replaces_one_of_4_gets_its_share(void **state)
{
    expect_sharing_after_a_kill(serve(state, 4), 256);
}

static void a_worker_that_replaces_one_of_8_gets_its_share(void **state)
{
    if (!enough_descriptors())
        skip();
    expect_sharing_after_a_kill(serve(state, 8), MOST);
}

/* For longer than a worker is waited for that has a share left and does not take it. */
static void a_worker_that_starts_slowly_gets_its_share(void **state)
{
    struct responder *responder = *state;
    use_faulty_responder();
    start(responder, WORDS("WORKERS=2", "LOG_LEVEL=error", "SLOW=80"));
    await_workers(responder, 2);
    expect_sharing_after_a_kill(responder, 64);
}

/* It has fewer than its share, and cannot take any: the other one takes them, soon enough. */
static void a_worker_that_hangs_does_not_keep_others_from_connecting(void **state)
{
    struct responder *responder = serve(state, 2);
    freeze(responder->worker[0]);
    connect_all(responder, 64, ASKING);
    thaw(responder->worker[0]);
    expect_unharmed(responder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_wire(_64_connections_are_shared_by_2),
        cmocka_unit_test_wire(_64_connections_are_shared_by_4),
        cmocka_unit_test_wire(_64_connections_are_shared_by_8),
        cmocka_unit_test_wire(_256_connections_are_shared_by_2),
        cmocka_unit_test_wire(_256_connections_are_shared_by_4),
        cmocka_unit_test_wire(_256_connections_are_shared_by_8),
        cmocka_unit_test_wire(_1000_connections_are_shared_by_2),
        cmocka_unit_test_wire(_1000_connections_are_shared_by_4),
        cmocka_unit_test_wire(_1000_connections_are_shared_by_8),
        cmocka_unit_test_wire(a_worker_that_replaces_another_gets_its_share),
        cmocka_unit_test_wire(a_worker_that_replaces_one_of_4_gets_its_share),
        cmocka_unit_test_wire(a_worker_that_replaces_one_of_8_gets_its_share),
        cmocka_unit_test_wire(a_worker_that_starts_slowly_gets_its_share),
        cmocka_unit_test_wire(a_worker_that_hangs_does_not_keep_others_from_connecting),
    };
    return cmocka_run_group_tests_name("sharing", tests, NULL, NULL);
}
