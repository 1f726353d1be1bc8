/* Bodies that a route takes: in a worker, alone (--single) and as a CGI program. */
#include "client.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define FORM "application/x-www-form-urlencoded"
#define JSON "application/json"
#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

enum { ROUTE_MAX = 4096, KEPT_MAX = 64 * 1024, COUNTED_MAX = 1024 * 1024 };

static const struct {
    const char *type, *body;
    int status;
    const char *answer;
} cases[] = {
    {FORM, "name=Ada", 200, "Hello Ada\n"},
    {FORM, "name=a+b%2Bc", 200, "Hello a b+c\n"},
    {FORM, "", 200, "Hello World\n"},
    {NULL, "", 200, "Hello World\n"},
    {JSON, "{\"name\":\"Zo\\u00eb\"}", 200, "Hello Zo\xC3\xAB\n"},
    {JSON, "{}", 200, "Hello World\n"},
    {JSON, "{", 400, NULL},
    {FORM, "nom=Ada", 400, NULL},
    {"text/plain", "Ada", 415, NULL},
    {NULL, "Ada", 415, NULL},
};

static struct request post(const char *type, const char *body)
{
    return (struct request){.method = "POST", .keep = true, .type = type, .content = body};
}

/* --- In a worker ---------------------------------------------------------------------------- */

static void a_body_is_read_however_its_records_are_made(void **state)
{
    static const uint16_t records[] = {0, 1, 7};
    struct responder *responder = serve(state, 1);
    struct client *client = client_open(responder);
    for (size_t i = 0; i < LENGTH(cases) * LENGTH(records); i++) {
        struct request request = post(cases[i / 3].type, cases[i / 3].body);
        request.record_max = records[i % 3];
        request.padding = (uint8_t)(5 * (i % 2));
        client_ask(client, &request);
        expect_answer(client, cases[i / 3].status, cases[i / 3].answer);
    }
    expect_unharmed(responder);
}

static void a_body_is_read_wherever_it_pauses(void **state)
{
    struct responder *responder = serve(state, 1);
    struct client *client = client_open(responder);
    const struct request request = post(FORM, "name=Ada");
    const struct bytes *bytes = request_bytes(&request);
    for (size_t cut = 1; cut < bytes->length; cut++) {
        client_send_until(client, bytes, cut);
        await_read(client);
        client_send_from(client, bytes, cut);
        expect_answer(client, 200, "Hello Ada\n");
    }
    expect_unharmed(responder);
}

static void a_body_is_too_large_for_its_route_or_for_any(void **state)
{
    static const struct {
        size_t size;
        int status;
    } sizes[] = {{ROUTE_MAX, 400}, {ROUTE_MAX + 1, 413}, {KEPT_MAX, 413},       {KEPT_MAX + 1, 413},
                 {ROUTE_MAX, 400}, {COUNTED_MAX, 413},   {COUNTED_MAX + 1, 413}};
    struct responder *responder = serve(state, 1);
    struct client *client = client_open(responder);
    for (size_t i = 0; i < LENGTH(sizes); i++) {
        client_ask(
            client,
            &(struct request){.method = "POST", .keep = true, .type = FORM, .body = sizes[i].size});
        expect_answer(client, sizes[i].status, NULL);
    }
    expect_closed(client);
    expect_unharmed(responder);
}

static void a_body_whose_peer_goes_away_is_not_looked_at(void **state)
{
    struct responder *responder = serve_and_log(state, 1, "debug");
    const struct request request = post(FORM, "name=Ada");
    const struct bytes *bytes = request_bytes(&request);
    for (size_t missing = 1; missing < 24; missing++) {
        struct client *client = client_open(responder);
        client_send_until(client, bytes, bytes->length - missing);
        await_read(client);
        client_close(client);
    }
    settle(responder);
    assert_null(strstr(log_of(responder), "POST"));
    expect_greeting(client_open(responder), &kept);
}

/* --- What takes too long -------------------------------------------------------------------- */

/* Sends the clients a byte each, again and again, until their connections have ended. */
static void drip(struct client *clients[], size_t count)
{
    const int64_t until_ms = now_ms() + DEADLINE_MS;
    for (size_t ended = 0; ended < count;) {
        if (now_ms() > until_ms)
            fail_msg("%zu of %zu connections are still there", count - ended, count);
        ended = 0;
        for (size_t i = 0; i < count; i++) {
            struct pollfd end = {.fd = clients[i]->fd, .events = POLLRDHUP};
            if (poll(&end, 1, 0) > 0)
                ended++;
            else
                client_send(clients[i], "x", 1);
        }
        poll(NULL, 0, 100);
    }
}

/* No byte gets a request more time. A body that is late is said to be; of a head nobody knows yet
 * what it is. */
static void the_time_of_a_request_is_bounded_in_all(void **state)
{
    struct responder *responder = serve(state, 1);
    const struct bytes *bytes = request_bytes(
        &(struct request){.method = "POST", .keep = true, .type = FORM, .body = ROUTE_MAX});
    struct client *body = client_open(responder), *head = client_open(responder);
    const int64_t began_ms = now_ms();
    client_send_until(body, bytes, bytes->length - ROUTE_MAX);
    client_send_until(head, bytes, 20);
    drip((struct client *[]){body, head}, 2);
    assert_in_range(now_ms() - began_ms, 9000, DEADLINE_MS);
    expect_answer(body, 408, NULL);
    expect_closed(body);
    expect_closed(head);
    expect_unharmed(responder);
}

/* A web server that is still sending finds the answer, since nothing tells it that its write
 * failed. */
static void what_comes_behind_a_late_answer_is_read_for_a_while(void **state)
{
    struct responder *responder = serve(state, 1);
    const struct bytes *bytes = request_bytes(
        &(struct request){.method = "POST", .keep = true, .type = FORM, .body = ROUTE_MAX});
    struct client *client = client_open(responder);
    client_send_until(client, bytes, bytes->length - ROUTE_MAX);
    expect_answer(client, 408, NULL);
    expect_closed(client);
    client_send(client, "x", 1);
    expect_greeting(client_open(responder), &kept); /* the byte was read behind it */
    int count = 0;
    for (; send(client->fd, "x", 1, MSG_NOSIGNAL) == 1; count++) {
        assert_true(count * 100 < DEADLINE_MS);
        poll(NULL, 0, 100);
    }
    assert_true(count > 0);
    assert_int_equal(EPIPE, errno);
    expect_unharmed(responder);
}

static void the_next_request_has_all_of_its_time(void **state)
{
    struct responder *responder = serve(state, 1);
    const struct request request = post(FORM, "name=Ada");
    const struct bytes *bytes = request_bytes(&request);
    struct client *client = client_open(responder);
    const int64_t began_ms = now_ms();
    for (int i = 0; i < 3; i++) {
        client_send_until(client, bytes, bytes->length - 1);
        expect_silence(client, 4000);
        client_send_from(client, bytes, bytes->length - 1);
        expect_answer(client, 200, "Hello Ada\n");
    }
    assert_true(now_ms() - began_ms > 10000);
    expect_unharmed(responder);
}

/* --- Alone, and as a CGI program ------------------------------------------------------------- */

static void single_reads_a_body(void **state)
{
    struct responder *responder = *state;
    start(responder, WORDS("--single"));
    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct client *client = client_open(responder);
        const struct request request = post(cases[i].type, cases[i].body);
        client_ask(client, &request);
        expect_answer(client, cases[i].status, cases[i].answer);
        client_close(client);
    }
}

static void a_CGI_program_reads_a_body(void **state)
{
    for (size_t i = 0; i < LENGTH(cases); i++) {
        char type[128], length[64];
        struct answer answer;
        struct bytes *body = bytes_new();
        bytes_add(body, cases[i].body, strlen(cases[i].body));
        snprintf(type, sizeof(type), "CONTENT_TYPE=%s", cases[i].type ? cases[i].type : "");
        snprintf(length, sizeof(length), "CONTENT_LENGTH=%zu", body->length);
        bytes_add(body, "&name=Eve", 9); /* which is not its */
        assert_int_equal(
            0, run(*state, body, WORDS("REQUEST_METHOD=POST", "REQUEST_URI=/", type, length)));
        const char *printed = output_of(*state);
        assert_true(parse_answer(printed, strlen(printed), false, &answer));
        assert_int_equal(cases[i].status, answer.status);
        if (cases[i].answer)
            assert_string_equal(cases[i].answer, answer.body);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_wire(a_body_is_read_however_its_records_are_made),
        cmocka_unit_test_wire(a_body_is_read_wherever_it_pauses),
        cmocka_unit_test_wire(a_body_is_too_large_for_its_route_or_for_any),
        cmocka_unit_test_wire(a_body_whose_peer_goes_away_is_not_looked_at),
        cmocka_unit_test_wire(the_time_of_a_request_is_bounded_in_all),
        cmocka_unit_test_wire(what_comes_behind_a_late_answer_is_read_for_a_while),
        cmocka_unit_test_wire(the_next_request_has_all_of_its_time),
        cmocka_unit_test_wire(single_reads_a_body),
        cmocka_unit_test_wire(a_CGI_program_reads_a_body),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
