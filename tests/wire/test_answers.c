/* Answers that are larger than what a socket takes at once. The responder is the one with faults,
 * tests/faults. */
#include "client.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>

enum {
    BODY_LARGEST = 64 * 1024 - 1, /* RESPONSE_BODY_MAX, core/response.h, with a NUL */
    SMALL = 4096,
};

/* The sandbox would refuse the call that makes buffers small. */
static struct responder *serve_large(void **state, int buffer)
{
    struct responder *responder = *state;
    char size[32];
    snprintf(size, sizeof(size), "BUFFER=%d", buffer);
    start(responder, WORDS("WORKERS=1", "LOG_LEVEL=error", "SANDBOX=off", size));
    await_workers(responder, 1);
    return responder;
}

static void ask_for(struct client *client, uint16_t id, size_t size, bool keep)
{
    char target[64];
    snprintf(target, sizeof(target), "/health?size=%zu", size);
    client_ask(client, &(struct request){.target = target, .id = id, .keep = keep});
}

static void expect_body(struct client *client, uint16_t id, size_t size)
{
    struct bytes *expected = bytes_new();
    for (size_t i = 0; i < size; i++)
        bytes_add(expected, &(char){(char)('a' + i % 23)}, 1);
    client->id = id;
    expect_answer(client, 200, (const char *)expected->data);
}

static void expect_whole_answers(void **state, int buffer)
{
    static const size_t sizes[] = {1,     SMALL - 1, SMALL, 8000,  8192,        30000,
                                   65000, 65300,     65528, 65534, BODY_LARGEST};
    struct responder *responder = serve_large(state, buffer);
    struct client *client = client_open(responder);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct client *unkept_client = client_open(responder);
        ask_for(client, 7, sizes[i], true);
        ask_for(unkept_client, 1, sizes[i], false);
        expect_body(client, 7, sizes[i]);
        expect_body(unkept_client, 1, sizes[i]);
        expect_closed(unkept_client);
    }
    expect_unharmed(responder);
}

static void answers_up_to_64_KiB_are_whole(void **state)
{
    expect_whole_answers(state, 0);
}

static void answers_larger_than_a_buffer_are_whole(void **state)
{
    expect_whole_answers(state, SMALL);
}

static void answers_that_leave_byte_by_byte_are_whole(void **state)
{
    struct responder *responder = *state;
    start(responder, WORDS("WORKERS=1", "LOG_LEVEL=error", "SEND=1"));
    await_workers(responder, 1);
    struct client *client = client_open(responder);
    for (int i = 0; i < 3; i++)
        expect_greeting(client, &kept);
    expect_unharmed(responder);
}

static void an_answer_larger_than_allowed_is_refused(void **state)
{
    static const size_t sizes[] = {BODY_LARGEST + 1, 1024 * 1024};
    struct responder *responder = serve_large(state, SMALL);
    struct client *client = client_open(responder);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        ask_for(client, 1, sizes[i], true);
        expect_answer(client, 500, NULL);
    }
    expect_greeting(client, &kept);
    kill(responder->pid, SIGTERM);
    expect_exit(responder, EX_OK);
}

/* xorshift */
static uint32_t random_below(uint32_t limit)
{
    static uint32_t seed = 20260725;
    seed ^= seed << 13;
    seed ^= seed >> 17;
    seed ^= seed << 5;
    return seed % limit;
}

/* Requests that do not wait for answers, from several clients, in pieces. */
static void expect_pipelined_answers(struct responder *responder, int requests)
{
    enum { CLIENTS = 4, REQUESTS = 40 };
    size_t sizes[CLIENTS][REQUESTS];
    struct client *clients[CLIENTS], *other = client_open(responder);
    for (int i = 0; i < CLIENTS; i++)
        clients[i] = client_open(responder);
    for (int request = 0; request < requests; request++)
        for (int i = 0; i < CLIENTS; i++) {
            sizes[i][request] = random_below(BODY_LARGEST) + 1;
            ask_for(clients[i], (uint16_t)(request + 1), sizes[i][request], true);
            expect_prompt_greeting(other, &kept);
        }
    for (int request = 0; request < requests; request++)
        for (int i = 0; i < CLIENTS; i++)
            expect_body(clients[i], (uint16_t)(request + 1), sizes[i][request]);
    for (int i = 0; i < CLIENTS; i++)
        expect_greeting(clients[i], &kept);
}

static void pipelined_requests_wait_until_answers_have_left(void **state)
{
    struct responder *responder = serve_large(state, SMALL);
    for (int round = 0; round < 3; round++)
        expect_pipelined_answers(responder, 40);
    expect_unharmed(responder);
}

static void a_client_that_takes_no_large_answer_delays_nobody_and_is_closed(void **state)
{
    struct responder *responder = serve_large(state, SMALL);
    struct client *client = client_open(responder);
    struct client *other = client_open(responder);
    struct pollfd end = {.fd = client->fd, .events = POLLRDHUP};
    ask_for(client, 1, BODY_LARGEST, true);
    const int64_t began_ms = now_ms();
    while (poll(&end, 1, 0) == 0) {
        expect_prompt_greeting(other, &kept);
        assert_in_range(now_ms() - began_ms, 0, DEADLINE_MS);
    }
    expect_unharmed(responder);
}

/* It also gets the time that is bounded for all of an answer, not for each byte of it. */
static void a_client_that_takes_an_answer_slowly_is_closed(void **state)
{
    struct responder *responder = serve_large(state, SMALL);
    struct client *client = client_open(responder);
    struct pollfd end = {.fd = client->fd, .events = POLLRDHUP};
    char byte;
    ask_for(client, 1, BODY_LARGEST, true);
    const int64_t began_ms = now_ms();
    while (poll(&end, 1, 0) == 0) {
        assert_int_equal(1, recv(client->fd, &byte, 1, 0));
        assert_in_range(now_ms() - began_ms, 0, DEADLINE_MS);
        wait_a_moment();
    }
    expect_unharmed(responder);
}

static void an_answer_that_waits_is_finished_behind_SIGTERM(void **state)
{
    struct responder *responder = serve_large(state, SMALL);
    struct client *client = client_open(responder);
    ask_for(client, 1, BODY_LARGEST, true);
    await_read(client);
    kill(responder->pid, SIGTERM);
    expect_body(client, 1, BODY_LARGEST);
    expect_closed(client);
    expect_quiet_exit(responder);
}

static void a_client_that_closes_before_its_answer_leaves_nothing_behind(void **state)
{
    struct responder *responder = serve_large(state, SMALL);
    for (int i = 0; i < 100; i++) {
        struct client *client = client_open(responder);
        ask_for(client, 1, BODY_LARGEST, true);
        if (i % 2)
            await_read(client);
        client_close(client);
    }
    expect_unharmed(responder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_wire(answers_up_to_64_KiB_are_whole),
        cmocka_unit_test_wire(answers_larger_than_a_buffer_are_whole),
        cmocka_unit_test_wire(answers_that_leave_byte_by_byte_are_whole),
        cmocka_unit_test_wire(an_answer_larger_than_allowed_is_refused),
        cmocka_unit_test_wire(pipelined_requests_wait_until_answers_have_left),
        cmocka_unit_test_wire(a_client_that_takes_no_large_answer_delays_nobody_and_is_closed),
        cmocka_unit_test_wire(a_client_that_takes_an_answer_slowly_is_closed),
        cmocka_unit_test_wire(an_answer_that_waits_is_finished_behind_SIGTERM),
        cmocka_unit_test_wire(a_client_that_closes_before_its_answer_leaves_nothing_behind),
    };
    use_faulty_responder();
    return cmocka_run_group_tests_name("answers", tests, NULL, NULL);
}
