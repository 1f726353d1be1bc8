/* How connections are kept, shared, delayed and run out. */
#include "client.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum {
    MANY = 500,
    SURPLUS = 5,
    LARGE = 100 * 1000, /* a body of a request that a worker cannot read at once */
    SHORT_MS = 300      /* to see that nothing happens */
};

/* --- Kept or not ---------------------------------------------------------------------------- */

static void an_unkept_connection_is_closed_behind_its_answer(void **state)
{
    struct responder *responder = serve(state, 1);
    for (int i = 0; i < 50; i++) {
        struct client *client = client_open(responder);
        expect_greeting(client, &unkept);
        expect_closed(client);
    }
    expect_unharmed(responder);
}

static void a_kept_connection_answers_a_thousand_requests(void **state)
{
    struct responder *responder = serve(state, 1);
    struct client *client = client_open(responder);
    for (int i = 0; i < 1000; i++)
        expect_greeting(client, &kept);
    expect_unharmed(responder);
}

static void the_request_that_does_not_keep_a_kept_connection_is_its_last(void **state)
{
    struct responder *responder = serve(state, 1);
    struct client *client = client_open(responder);
    expect_greeting(client, &kept);
    expect_greeting(client, &kept);
    expect_greeting(client, &unkept);
    expect_closed(client);
    expect_unharmed(responder);
}

static void an_error_leaves_a_kept_connection_usable(void **state)
{
    struct responder *responder = serve(state, 1);
    struct client *client = client_open(responder);
    client_ask(client, &(struct request){.keep = true, .target = "/nowhere"});
    expect_answer(client, 404, NULL);
    expect_greeting(client, &kept);
    expect_unharmed(responder);
}

/* --- Many at once --------------------------------------------------------------------------- */

static void open_many(struct responder *responder, struct client *clients[], size_t count)
{
    for (size_t i = 0; i < count; i++)
        clients[i] = client_open(responder);
}

/* Asks on all of them, then takes the answers in whatever order they come. */
static void expect_greetings_at_once(struct client *clients[MANY])
{
    struct pollfd ready[MANY];
    for (int i = 0; i < MANY; i++) {
        client_ask(clients[i], &kept);
        ready[i] = (struct pollfd){.fd = clients[i]->fd, .events = POLLIN};
    }
    for (int left = MANY; left > 0;) {
        if (poll(ready, MANY, DEADLINE_MS) == 0)
            fail_msg("%d of %d clients got no answer within %d ms", left, MANY, DEADLINE_MS);
        for (int i = 0; i < MANY; i++) {
            if (!ready[i].revents || (client_receive(clients[i]) && !client_has_answer(clients[i])))
                continue;
            ready[i].fd = -1;
            left--;
        }
    }
    for (int i = 0; i < MANY; i++)
        expect_answer(clients[i], 200, "Hello World\n");
}

static void hundreds_of_clients_at_once_are_all_answered(void **state)
{
    struct responder *responder = serve(state, 2);
    struct client *clients[MANY];
    open_many(responder, clients, MANY);
    for (int round = 0; round < 5; round++)
        expect_greetings_at_once(clients);
    expect_unharmed(responder);
}

static void every_worker_takes_connections(void **state)
{
    struct responder *responder = serve(state, 2);
    struct client *clients[] = {open_to(responder, 0), open_to(responder, 1)};
    expect_greeting(clients[0], &kept);
    expect_greeting(clients[1], &kept);
    expect_unharmed(responder);
}

/* Both see the connection, one comes too late, since it has something else to do first. */
static void a_worker_that_misses_a_connection_goes_on_with_its_others(void **state)
{
    enum { ROUNDS = 30 };
    struct responder *responder = serve(state, 2);
    struct client *others[] = {open_to(responder, 0), open_to(responder, 1)};
    for (int round = 0; round < ROUNDS; round++) {
        freeze(responder->worker[0]);
        freeze(responder->worker[1]);
        client_ask(others[0], &(struct request){.keep = true, .body = 60000, .record_max = 100});
        struct client *client = client_open(responder);
        client_ask(client, &unkept);
        thaw(responder->worker[0]);
        thaw(responder->worker[1]);
        expect_answer(others[0], 200, "Hello World\n");
        expect_answer(client, 200, "Hello World\n");
        expect_prompt_greeting(others[0], &kept);
        expect_prompt_greeting(others[1], &kept);
    }
    expect_unharmed(responder);
}

/* Asks for all but the last byte, so that a request is under way. */
static const struct bytes *begin(struct client *client)
{
    const struct bytes *bytes = request_bytes(&kept);
    client_send_until(client, bytes, bytes->length - 1);
    return bytes;
}

static void finish(struct client *client)
{
    const struct bytes *bytes = request_bytes(&kept);
    client_send_from(client, bytes, bytes->length - 1);
    expect_answer(client, 200, "Hello World\n");
}

/* Takes so many places, with requests that are under way. */
static void take_places(struct responder *responder, struct client *clients[], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        clients[i] = client_open(responder);
        begin(clients[i]);
        await_read(clients[i]);
    }
}

static void expect_surplus_to_wait(struct responder *responder, struct client *clients[])
{
    struct client *surplus[SURPLUS];
    for (int i = 0; i < SURPLUS; i++)
        client_ask(surplus[i] = client_open(responder), &kept);
    for (int i = 0; i < SURPLUS; i++)
        expect_silence(surplus[i], i == 0 ? SHORT_MS : 0);
    for (int i = 0; i < SURPLUS; i++) {
        client_close(clients[i]);
        expect_answer(surplus[i], 200, "Hello World\n");
    }
}

static void connections_beyond_what_a_worker_takes_wait_while_requests_are_under_way(void **state)
{
    static struct client *clients[CONNECTIONS_MAX];
    if (!enough_descriptors())
        skip();
    struct responder *responder = serve(state, 1);
    take_places(responder, clients, CONNECTIONS_MAX);
    expect_surplus_to_wait(responder, clients);
    for (int i = SURPLUS; i < CONNECTIONS_MAX; i++)
        finish(clients[i]);
    expect_unharmed(responder);
}

/* They become idle in an order that is not that of their places. */
static void expect_the_oldest_idle_to_give_way(struct responder *responder, int places)
{
    static struct client *clients[CONNECTIONS_MAX];
    for (int i = 0; i < places; i++)
        expect_greeting(clients[i] = client_open(responder), &kept);
    for (int i = 0; i < places; i++)
        expect_greeting(clients[i * 7 % places], &kept);
    for (int i = 0; i < SURPLUS; i++) {
        expect_prompt_greeting(client_open(responder), &kept);
        expect_closed(clients[i * 7 % places]);
    }
    for (int i = SURPLUS; i < places; i++)
        expect_greeting(clients[i * 7 % places], &kept);
    const char *log = strstr(log_of(responder), "places for connections are taken");
    if (!log || lines_in(log) != 1)
        fail_msg("one line is to say that places ran out, not: %s", printable(log_of(responder)));
}

static void the_oldest_idle_connection_gives_way_when_places_run_out(void **state)
{
    if (!enough_descriptors())
        skip();
    expect_the_oldest_idle_to_give_way(serve_and_log(state, 1, "warning"), CONNECTIONS_MAX);
}

static void the_oldest_idle_connection_gives_way_when_descriptors_run_out(void **state)
{
    ((struct responder *)*state)->descriptors_max = DESCRIPTORS_SHORT;
    expect_the_oldest_idle_to_give_way(serve_and_log(state, 1, "warning"),
                                       DESCRIPTORS_SHORT - STARTED_DESCRIPTORS);
}

static void other_workers_take_what_a_full_one_cannot(void **state)
{
    enum { TAKEN = 2 * (DESCRIPTORS_SHORT - STARTED_DESCRIPTORS) };
    struct client *clients[TAKEN];
    ((struct responder *)*state)->descriptors_max = DESCRIPTORS_SHORT;
    struct responder *responder = serve(state, 2);
    take_places(responder, clients, TAKEN);
    expect_surplus_to_wait(responder, clients);
    for (int i = SURPLUS; i < TAKEN; i++)
        finish(clients[i]);
    expect_unharmed(responder);
}

static void descriptors_that_run_short_pause_accepting_until_some_are_free(void **state)
{
    enum { TAKEN = DESCRIPTORS_SHORT - STARTED_DESCRIPTORS };
    struct client *clients[TAKEN];
    ((struct responder *)*state)->descriptors_max = DESCRIPTORS_SHORT;
    struct responder *responder = serve(state, 1);
    take_places(responder, clients, TAKEN);
    const long before = cpu_ms(responder->worker[0]);
    expect_surplus_to_wait(responder, clients);
    const long used = cpu_ms(responder->worker[0]) - before;
    if (used > SHORT_MS / 3)
        fail_msg("the worker is to pause, and used the processor for %ld of %d ms", used, SHORT_MS);
    for (int i = SURPLUS; i < TAKEN; i++)
        finish(clients[i]);
    expect_unharmed(responder);
}

/* More of them, one after the other, than a worker takes at once. */
static void every_closed_connection_gives_its_place_back(void **state)
{
    struct responder *responder = serve(state, 1);
    for (int i = 0; i < 3 * (CONNECTIONS_MAX + SURPLUS); i++) {
        struct client *client = client_open(responder);
        if (i % 3 > 0)
            expect_greeting(client, i % 3 == 1 ? &kept : &unkept);
        client_close(client);
    }
    expect_unharmed(responder);
}

static void every_refused_connection_gives_its_place_back(void **state)
{
    struct responder *responder = serve(state, 1);
    for (int i = 0; i < CONNECTIONS_MAX + SURPLUS; i++) {
        struct client *client = client_open(responder);
        client_send(client, "no request", strlen("no request"));
        expect_closed(client);
        client_close(client);
    }
    expect_unharmed(responder);
}

/* --- Delays --------------------------------------------------------------------------------- */

static void silent_connections_delay_nobody(void **state)
{
    struct responder *responder = serve(state, 1);
    struct client *silent[10];
    open_many(responder, silent, 10);
    expect_prompt_greeting(client_open(responder), &kept);
    expect_greeting(silent[9], &kept);
    expect_unharmed(responder);
}

static void a_half_sent_request_delays_nobody_and_is_answered_when_its_rest_comes(void **state)
{
    struct responder *responder = serve(state, 1);
    struct client *other = client_open(responder);
    const struct bytes *bytes = request_bytes(&(struct request){.body = 5});
    for (size_t half = 1; half < bytes->length; half++) {
        struct client *client = client_open(responder);
        client_send_until(client, bytes, half);
        expect_prompt_greeting(other, &kept);
        expect_silence(client, 0);
        client_send_from(client, bytes, half);
        expect_answer(client, 200, "Hello World\n");
    }
    expect_unharmed(responder);
}

static void a_half_sent_request_on_a_kept_connection_delays_nobody(void **state)
{
    struct responder *responder = serve(state, 1);
    struct client *client = client_open(responder);
    struct client *other = client_open(responder);
    const struct bytes *bytes = request_bytes(&kept);
    for (size_t half = 1; half < bytes->length; half += 9) {
        expect_greeting(client, &kept);
        client_send_until(client, bytes, half);
        expect_prompt_greeting(other, &kept);
        client_send_from(client, bytes, half);
        expect_answer(client, 200, "Hello World\n");
    }
    expect_unharmed(responder);
}

static struct client *ask_half_of_a_large_request(struct responder *responder, size_t *half)
{
    struct client *client = client_open(responder);
    const struct bytes *bytes = request_bytes(&(struct request){.keep = true, .body = LARGE});
    *half = bytes->length - 1000;
    client_send_until(client, bytes, *half);
    await_read(client);
    return client;
}

static void a_large_request_that_pauses_is_answered_when_its_rest_comes(void **state)
{
    struct responder *responder = serve(state, 1);
    size_t half;
    struct client *client = ask_half_of_a_large_request(responder, &half);
    const struct bytes *bytes = request_bytes(&(struct request){.keep = true, .body = LARGE});
    expect_silence(client, SHORT_MS);
    client_send_from(client, bytes, half);
    expect_answer(client, 200, "Hello World\n");
    expect_unharmed(responder);
}

static void a_large_request_that_trickles_delays_nobody(void **state)
{
    struct responder *responder = serve(state, 1);
    size_t half;
    struct client *client = ask_half_of_a_large_request(responder, &half);
    struct client *other = client_open(responder);
    for (int i = 0; i < 100; i++) {
        client_send(client, "x", 1);
        expect_prompt_greeting(other, &kept);
    }
    client_close(client);
    expect_unharmed(responder);
}

/* They would keep their places for ever; idle connections, on which nothing is to come, may. */
static void requests_that_stall_delay_nobody_and_are_closed(void **state)
{
    struct responder *responder = serve(state, 1);
    size_t half;
    const struct bytes *bytes = request_bytes(&kept);
    struct client *idle = client_open(responder);
    struct client *small = client_open(responder);
    client_send_until(idle, bytes, bytes->length - 1);
    await_read(idle);
    client_send_from(idle, bytes, bytes->length - 1);
    expect_answer(idle, 200, "Hello World\n");
    struct client *large = ask_half_of_a_large_request(responder, &half);
    client_send_until(small, bytes, bytes->length - 1);
    expect_prompt_greeting(client_open(responder), &kept);
    expect_answer(large, 408, NULL);
    expect_closed(large);
    expect_answer(small, 408, NULL);
    expect_closed(small);
    expect_greeting(idle, &kept);
    expect_unharmed(responder);
}

/* A request of which the rest does not come, behind what does not end the wait for it. */
static struct client *stall_behind(struct responder *responder, const struct bytes *first,
                                   const struct bytes *second)
{
    struct client *client = client_open(responder);
    struct bytes *bytes = bytes_new();
    bytes_add(bytes, first->data, first->length);
    if (second)
        bytes_add(bytes, second->data, second->length);
    client_send_all(client, bytes);
    return client;
}

static void whatever_is_refused_or_told_meanwhile_a_stalled_request_is_closed(void **state)
{
    struct responder *responder = serve(state, 1);
    struct bytes *beginning = bytes_new(), *other = bytes_new(), *management = bytes_new();
    add_begin(beginning, 1, FCGI_RESPONDER, FCGI_KEEP_CONN, 0);
    add_begin(other, 2, FCGI_RESPONDER, FCGI_KEEP_CONN, 0);
    add_record(management, FCGI_GET_VALUES, 0, "", 0, 0);
    struct client *clients[] = {
        stall_behind(responder, bytes_new(), NULL),
        stall_behind(responder, beginning, NULL),
        stall_behind(responder, beginning, other),
        stall_behind(responder, beginning, management),
        stall_behind(responder, management, beginning),
        stall_behind(responder, request_bytes(&kept), beginning),
    };
    struct client *idle = stall_behind(responder, management, NULL);
    const int64_t began_ms = now_ms();
    expect_prompt_greeting(client_open(responder), &kept);
    for (size_t i = 0; i < sizeof(clients) / sizeof(clients[0]); i++)
        await_end(clients[i]);
    assert_in_range(now_ms() - began_ms, 9000, DEADLINE_MS);
    expect_record(idle, "FCGI_GET_VALUES_RESULT");
    expect_greeting(idle, &kept);
    expect_unharmed(responder);
}

/* The worker looks again when the next is due, not only when it has something else to do. */
static void requests_that_stall_one_after_the_other_are_each_closed_in_time(void **state)
{
    struct responder *responder = serve(state, 1);
    struct client *clients[3];
    int64_t began_ms[3];
    for (int i = 0; i < 3; i++) {
        clients[i] = client_open(responder);
        begin(clients[i]);
        await_read(clients[i]);
        began_ms[i] = now_ms();
        expect_silence(clients[i], 2 * SHORT_MS);
    }
    for (int i = 0; i < 3; i++) {
        expect_answer(clients[i], 408, NULL);
        expect_closed(clients[i]);
        assert_in_range(now_ms() - began_ms[i], 9900, DEADLINE_MS);
    }
    expect_unharmed(responder);
}

/* As a container is whose CPU is taken away. All was sent in time. */
static void requests_that_came_while_a_worker_did_not_run_are_answered(void **state)
{
    struct responder *responder = serve(state, 1);
    static struct client *clients[MANY];
    for (int i = 0; i < MANY; i++) {
        clients[i] = client_open(responder);
        if (i % 2)
            begin(clients[i]);
    }
    await_read(clients[MANY - 1]);
    settle(responder);
    kill(responder->pid, SIGSTOP); /* it would replace the worker */
    freeze(responder->worker[0]);
    for (int i = 0; i < MANY; i++)
        if (i % 2)
            client_send_from(clients[i], request_bytes(&kept), request_bytes(&kept)->length - 1);
        else
            client_ask(clients[i], &kept);
    expect_silence(clients[0], 10500); /* longer than REQUEST_MS of connection.h */
    thaw(responder->worker[0]);
    for (int i = 0; i < MANY; i++)
        expect_answer(clients[i], 200, "Hello World\n");
    kill(responder->pid, SIGCONT);
    expect_unharmed(responder);
}

static bool closed_by_the_responder(const struct client *client)
{
    struct pollfd end = {.fd = client->fd, .events = POLLRDHUP};
    return poll(&end, 1, 0) > 0;
}

static int bytes_there(const struct client *client)
{
    int count = 0;
    assert_int_equal(0, ioctl(client->fd, FIONREAD, &count));
    return count;
}

/* Asks without reading the answer. false when none comes. */
static bool ask_without_reading(struct client *client)
{
    const int before = bytes_there(client);
    const int64_t deadline = now_ms() + SHORT_MS;
    client_ask(client, &kept);
    while (bytes_there(client) == before && now_ms() < deadline)
        wait_a_moment();
    return bytes_there(client) > before;
}

static void a_client_that_takes_no_answers_delays_nobody_and_is_closed(void **state)
{
    struct responder *responder = serve(state, 1);
    struct client *client = client_open(responder);
    struct client *other = client_open(responder);
    while (!closed_by_the_responder(client))
        if (!ask_without_reading(client))
            expect_prompt_greeting(other, &kept);
    expect_unharmed(responder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_wire(an_unkept_connection_is_closed_behind_its_answer),
        cmocka_unit_test_wire(a_kept_connection_answers_a_thousand_requests),
        cmocka_unit_test_wire(the_request_that_does_not_keep_a_kept_connection_is_its_last),
        cmocka_unit_test_wire(an_error_leaves_a_kept_connection_usable),
        cmocka_unit_test_wire(hundreds_of_clients_at_once_are_all_answered),
        cmocka_unit_test_wire(every_worker_takes_connections),
        cmocka_unit_test_wire(a_worker_that_misses_a_connection_goes_on_with_its_others),
        cmocka_unit_test_wire(
            connections_beyond_what_a_worker_takes_wait_while_requests_are_under_way),
        cmocka_unit_test_wire(the_oldest_idle_connection_gives_way_when_places_run_out),
        cmocka_unit_test_wire(the_oldest_idle_connection_gives_way_when_descriptors_run_out),
        cmocka_unit_test_wire(other_workers_take_what_a_full_one_cannot),
        cmocka_unit_test_wire(descriptors_that_run_short_pause_accepting_until_some_are_free),
        cmocka_unit_test_wire(every_closed_connection_gives_its_place_back),
        cmocka_unit_test_wire(every_refused_connection_gives_its_place_back),
        cmocka_unit_test_wire(silent_connections_delay_nobody),
        cmocka_unit_test_wire(
            a_half_sent_request_delays_nobody_and_is_answered_when_its_rest_comes),
        cmocka_unit_test_wire(a_half_sent_request_on_a_kept_connection_delays_nobody),
        cmocka_unit_test_wire(a_large_request_that_pauses_is_answered_when_its_rest_comes),
        cmocka_unit_test_wire(a_large_request_that_trickles_delays_nobody),
        cmocka_unit_test_wire(requests_that_stall_delay_nobody_and_are_closed),
        cmocka_unit_test_wire(whatever_is_refused_or_told_meanwhile_a_stalled_request_is_closed),
        cmocka_unit_test_wire(requests_that_stall_one_after_the_other_are_each_closed_in_time),
        cmocka_unit_test_wire(requests_that_came_while_a_worker_did_not_run_are_answered),
        cmocka_unit_test_wire(a_client_that_takes_no_answers_delays_nobody_and_is_closed),
    };
    return cmocka_run_group_tests_name("connections", tests, NULL, NULL);
}
