/* Answers that are larger than what a socket takes at once, and what the system refuses. The
 * responder is the one with faults, tests/faults. */
#include "client.h"

#include <errno.h>
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
    SHORT_MS = 300,
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

/* --- What the system refuses ---------------------------------------------------------------- */

static const int refusals[] = {EPERM, ENOSYS};

static void start_refused(struct responder *responder, const char *call, int error, int times)
{
    char words[3][48];
    snprintf(words[0], sizeof(words[0]), "REFUSE=%s", call);
    snprintf(words[1], sizeof(words[1]), "ERRNO=%d", error);
    snprintf(words[2], sizeof(words[2]), "TIMES=%d", times);
    start(responder, WORDS("WORKERS=1", "LOG_LEVEL=error", words[0], words[1], words[2],
                           "ASAN_OPTIONS=detect_leaks=0"));
}

static void expect_one_line_about(struct responder *responder, const char *call, int error)
{
    await(*log_of(responder), "a line is to be logged about %s", call);
    const char *log = log_of(responder);
    if (lines_in(log) != 1 || !strstr(log, call) || !strstr(log, strerror(error)))
        fail_msg("one line is to be about %s: %s, but: %s", call, strerror(error), printable(log));
}

static void a_refused_accept4_is_tried_again_and_logged_once(void **state)
{
    static const int errors[] = {EPERM, ENOSYS, ENFILE, EMFILE, ENOBUFS, EPROTO};
    struct responder *responder = *state;
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        start_refused(responder, "accept4", errors[i], 3);
        await_workers(responder, 1);
        struct client *client = client_open(responder);
        expect_greeting(client, &kept);
        expect_one_line_about(responder, "accept4", errors[i]);
        client_close(client);
        kill(responder->pid, SIGTERM);
        expect_exit(responder, EX_OK);
    }
}

static void an_accept4_that_is_always_refused_takes_no_processor_time(void **state)
{
    struct responder *responder = *state;
    start_refused(responder, "accept4", EPERM, 0);
    await_workers(responder, 1);
    struct client *client = client_open(responder);
    client_ask(client, &kept);
    expect_one_line_about(responder, "accept4", EPERM);
    const long before = cpu_ms(responder->worker[0]);
    expect_silence(client, 2 * SHORT_MS);
    const long used = cpu_ms(responder->worker[0]) - before;
    if (used > SHORT_MS / 3)
        fail_msg("it used the processor for %ld of %d ms", used, 2 * SHORT_MS);
    expect_one_line_about(responder, "accept4", EPERM);
    kill(responder->pid, SIGTERM);
    expect_exit(responder, EX_OK);
}

static void what_is_refused_at_the_start_is_named(void **state)
{
    static const char *const calls[] = {"memfd_create", "signalfd", "epoll_create1"};
    struct responder *responder = *state;
    for (size_t i = 0; i < 2 * sizeof(calls) / sizeof(calls[0]); i++) {
        const int64_t began_ms = now_ms();
        start_refused(responder, calls[i / 2], refusals[i % 2], 0);
        expect_exit(responder, EX_OSERR);
        assert_in_range(now_ms() - began_ms, 0, 2000);
        expect_one_line_about(responder, calls[i / 2], refusals[i % 2]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_wire(answers_up_to_64_KiB_are_whole),
        cmocka_unit_test_wire(answers_larger_than_a_buffer_are_whole),
        cmocka_unit_test_wire(an_answer_larger_than_allowed_is_refused),
        cmocka_unit_test_wire(pipelined_requests_wait_until_answers_have_left),
        cmocka_unit_test_wire(a_client_that_takes_no_large_answer_delays_nobody_and_is_closed),
        cmocka_unit_test_wire(a_client_that_takes_an_answer_slowly_is_closed),
        cmocka_unit_test_wire(an_answer_that_waits_is_finished_behind_SIGTERM),
        cmocka_unit_test_wire(a_client_that_closes_before_its_answer_leaves_nothing_behind),
        cmocka_unit_test_wire(a_refused_accept4_is_tried_again_and_logged_once),
        cmocka_unit_test_wire(an_accept4_that_is_always_refused_takes_no_processor_time),
        cmocka_unit_test_wire(what_is_refused_at_the_start_is_named),
    };
    use_faulty_responder();
    return cmocka_run_group_tests_name("answers", tests, NULL, NULL);
}
