/* Without workers: plain CGI, --single, and what is done without any request. */
#include "client.h"

#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

enum { BODY_MAX = 1024 * 1024, LARGE = 100 * 1000 };

/* --- Plain CGI ------------------------------------------------------------------------------ */

static void expect_printed(struct responder *responder, int exit_status, int status,
                           const char *body, bool head_only)
{
    struct answer answer;
    const char *printed = output_of(responder);
    if (exit_status != EX_OK)
        fail_msg("exit status %d; log: %s", exit_status, printable(log_of(responder)));
    if (!parse_answer(printed, strlen(printed), head_only, &answer))
        fail_msg("expected a CGI response of which nothing is missing, got: %s",
                 printable(printed));
    if (answer.status != status || (body && strcmp(answer.body, body) != 0))
        fail_msg("expected %d %s, got: %s", status, body ? body : "", printable(printed));
    expect_empty_log(responder);
}

static void CGI_answers_GET(void **state)
{
    struct responder *responder = *state;
    const int status = run(responder, NULL, WORDS("REQUEST_METHOD=GET", "REQUEST_URI=/"));
    expect_printed(responder, status, 200, "Hello World\n", false);
}

static void CGI_answers_HEAD_without_the_body(void **state)
{
    struct responder *responder = *state;
    const int status = run(responder, NULL, WORDS("REQUEST_METHOD=HEAD", "REQUEST_URI=/"));
    expect_printed(responder, status, 200, "", true);
}

static void CGI_reads_its_settings_and_its_request_from_one_environment(void **state)
{
    struct responder *responder = *state;
    const int status = run(responder, NULL,
                           WORDS("REQUEST_METHOD=GET", "REQUEST_URI=/?format=json", "GREETING=Moin",
                                 "GREETING_NAME=Welt", "HTTP_ACCEPT=text/html"));
    expect_printed(responder, status, 200, "{\"greeting\":\"Moin Welt\",\"name\":\"Welt\"}\n",
                   false);
}

/* RFC 3875 knows no REQUEST_URI. The path comes decoded. */
static void CGI_without_REQUEST_URI_takes_its_target_apart(void **state)
{
    static const struct {
        const char *script, *path, *query;
        int status;
        const char *body;
    } cases[] = {
        {"SCRIPT_NAME=", "PATH_INFO=/", "QUERY_STRING=name=Ada", 200, "Hello Ada\n"},
        {"SCRIPT_NAME=/health", "PATH_INFO=", "QUERY_STRING=", 200, "ok\n"},
        {"SCRIPT_NAME=/hea", "PATH_INFO=lth", "QUERY_STRING=", 200, "ok\n"},
        {"SCRIPT_NAME=", "PATH_INFO=/", "QUERY_STRING=name=%41%26b", 200, "Hello A&b\n"},
        {"SCRIPT_NAME=", "PATH_INFO=/?name=Ada", "QUERY_STRING=", 404, NULL},
        {"SCRIPT_NAME=", "PATH_INFO=/%68ealth", "QUERY_STRING=", 404, NULL},
        {"SCRIPT_NAME=", "PATH_INFO=/\n", "QUERY_STRING=", 400, NULL},
    };
    struct responder *responder = *state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const int status =
            run(responder, NULL,
                WORDS("REQUEST_METHOD=GET", cases[i].script, cases[i].path, cases[i].query));
        expect_printed(responder, status, cases[i].status, cases[i].body, false);
    }
}

static void CGI_refuses_too_long_a_target_also_without_REQUEST_URI(void **state)
{
    char query[10000] = "QUERY_STRING=name=";
    struct responder *responder = *state;
    memset(query + strlen(query), 'x', sizeof(query) - strlen(query) - 1);
    const int status = run(responder, NULL, WORDS("REQUEST_METHOD=GET", "PATH_INFO=/", query));
    expect_printed(responder, status, 414, NULL, false);
}

static struct bytes *body_of(size_t length)
{
    struct bytes *body = bytes_new();
    for (size_t i = 0; i < length; i++)
        bytes_add(body, "x", 1);
    return body;
}

static void CGI_reads_a_body_to_its_declared_length(void **state)
{
    static const struct {
        size_t body;
        const char *declared;
        int status;
    } cases[] = {{5, "CONTENT_LENGTH=5", 200},
                 {9, "CONTENT_LENGTH=5", 200}, /* RFC 3875 section 4.2: no more than declared */
                 {LARGE, "CONTENT_LENGTH=100000", 200},
                 {BODY_MAX, "CONTENT_LENGTH=1048576", 200},
                 {4, "CONTENT_LENGTH=5", 400},
                 {0, "CONTENT_LENGTH=5", 400},
                 {LARGE - 1, "CONTENT_LENGTH=100000", 400},
                 {5, "CONTENT_LENGTH=five", 400},
                 {BODY_MAX + 1, "CONTENT_LENGTH=1048577", 413},
                 {5, "CONTENT_LENGTH=99999999999999999999999", 413}};
    struct responder *responder = *state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const int status = run(responder, body_of(cases[i].body),
                               WORDS("REQUEST_METHOD=GET", "REQUEST_URI=/", cases[i].declared));
        expect_printed(responder, status, cases[i].status, NULL, false);
    }
}

static void CGI_refuses_a_negative_length(void **state)
{
    struct responder *responder = *state;
    const int status = run(responder, body_of(5),
                           WORDS("REQUEST_METHOD=GET", "REQUEST_URI=/", "CONTENT_LENGTH=-5"));
    expect_printed(responder, status, 400, NULL, false);
}

static void CGI_refuses_PUT_behind_its_body(void **state)
{
    struct responder *responder = *state;
    const int status = run(responder, body_of(5),
                           WORDS("REQUEST_METHOD=PUT", "REQUEST_URI=/", "CONTENT_LENGTH=5"));
    expect_printed(responder, status, 405, NULL, false);
}

static void single_answers_a_CGI_request_too(void **state)
{
    struct responder *responder = *state;
    const int status =
        run(responder, NULL, WORDS("--single", "REQUEST_METHOD=GET", "REQUEST_URI=/"));
    expect_printed(responder, status, 200, "Hello World\n", false);
}

/* --- One request at a time on a socket ------------------------------------------------------ */

static struct responder *serve_singly(void **state)
{
    start(*state, WORDS("--single", "LOG_LEVEL=error"));
    return *state;
}

/* libfcgi waits up to 2 s for its peer to close as well, as every web server does. */
static void close_behind(struct client *client)
{
    expect_closed(client);
    client_close(client);
}

static void expect_stop(struct responder *responder, int signal)
{
    kill(responder->pid, signal);
    for (struct client *client = responder->clients; client; client = client->next)
        if (client->fd >= 0)
            close_behind(client);
    expect_quiet_exit(responder);
}

static void expect_single_answer(struct responder *responder, const struct request *request,
                                 int status)
{
    struct client *client = client_open(responder);
    client_ask(client, request);
    expect_answer(client, status, NULL);
    close_behind(client);
}

static void single_answers_connections_one_after_the_other(void **state)
{
    struct responder *responder = serve_singly(state);
    for (int i = 0; i < 20; i++)
        expect_single_answer(responder, &unkept, 200);
    expect_stop(responder, SIGTERM);
}

static void single_answers_requests_on_a_kept_connection(void **state)
{
    struct responder *responder = serve_singly(state);
    struct client *client = client_open(responder);
    for (int i = 0; i < 20; i++)
        expect_greeting(client, &kept);
    expect_greeting(client, &(struct request){.keep = true, .body = LARGE});
    expect_greeting(client, &kept);
    client_close(client);
    expect_single_answer(responder, &unkept, 200);
    expect_stop(responder, SIGTERM);
}

/* A web server may send the record that ends the body by itself. */
static void single_keeps_a_connection_whose_requests_come_in_pieces(void **state)
{
    struct responder *responder = serve_singly(state);
    struct client *client = client_open(responder);
    const struct bytes *bytes = request_bytes(&(struct request){.keep = true, .body = 5});
    const size_t most = bytes->length - FCGI_HEADER_LEN;
    for (int i = 0; i < 3; i++) {
        client_send_until(client, bytes, most);
        await_read(client);
        client_send_from(client, bytes, most);
        expect_answer(client, 200, "Hello World\n");
    }
    expect_stop(responder, SIGTERM);
}

static void single_refuses_a_body_that_is_not_as_long_as_declared(void **state)
{
    static const struct {
        const char *declared;
        size_t body;
    } cases[] = {{"5", 0}, {"5", 4}, {"5", 6}, {"70000", 69999}};
    struct responder *responder = serve_singly(state);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        expect_single_answer(
            responder,
            &(struct request){.body = cases[i].body, .content_length = cases[i].declared}, 400);
    }
    expect_stop(responder, SIGTERM);
}

static void single_stops_when_it_is_idle(void **state)
{
    static const int signals[] = {SIGTERM, SIGINT};
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        struct responder *responder = serve_singly(state);
        expect_single_answer(responder, &unkept, 200);
        expect_stop(responder, signals[i]);
    }
}

static void single_stops_on_an_idle_kept_connection(void **state)
{
    static const int signals[] = {SIGTERM, SIGINT};
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        struct responder *responder = serve_singly(state);
        struct client *client = client_open(responder);
        expect_greeting(client, &kept);
        expect_stop(responder, signals[i]);
    }
}

static void expect_single_finishes(void **state, size_t sent, const struct request *request)
{
    struct responder *responder = serve_singly(state);
    struct client *client = client_open(responder);
    const struct bytes *bytes = request_bytes(request);
    client_send_until(client, bytes, sent);
    await_read(client);
    kill(responder->pid, SIGTERM);
    expect_silence(client, 50);
    client_send_from(client, bytes, sent);
    expect_answer(client, 200, "Hello World\n");
    close_behind(client);
    expect_quiet_exit(responder);
}

static void single_reads_a_body_that_SIGTERM_cuts_to_its_end(void **state)
{
    const struct request request = {.body = 8};
    const size_t length = request_bytes(&request)->length;
    for (size_t missing = 9; missing < 16; missing += 3)
        expect_single_finishes(state, length - missing, &request);
}

static void single_reads_a_large_body_that_SIGTERM_cuts_to_its_end(void **state)
{
    const struct request request = {.body = LARGE, .keep = true};
    expect_single_finishes(state, LARGE / 2, &request);
}

/* --- Without any request -------------------------------------------------------------------- */

static void expect_refusal(struct responder *responder, int status, int expected,
                           const char *mentioned)
{
    const char *log = log_of(responder);
    if (status != expected || lines_in(log) != 1 || !strstr(log, mentioned) ||
        *output_of(responder))
        fail_msg("expected exit status %d and one line about %s, got %d and: %s%s", expected,
                 mentioned, status, printable(log), printable(output_of(responder)));
}

static void help_is_printed(void **state)
{
    struct responder *responder = *state;
    assert_int_equal(EX_OK, run(responder, NULL, WORDS("--help")));
    assert_non_null(strstr(output_of(responder), "usage: responder"));
    expect_empty_log(responder);
}

static void version_and_commit_are_printed_on_one_line(void **state)
{
    struct responder *responder = *state;
    char version[32];
    char commit[64];
    assert_int_equal(EX_OK, run(responder, NULL, WORDS("--version")));
    const char *printed = output_of(responder);
    if (sscanf(printed, "responder %31[0-9.] (%63[^)])", version, commit) != 2 ||
        lines_in(printed) != 1)
        fail_msg("expected: responder VERSION (COMMIT), got: %s", printable(printed));
    expect_empty_log(responder);
}

static void an_unknown_option_is_refused(void **state)
{
    struct responder *responder = *state;
    assert_int_equal(EX_USAGE, run(responder, NULL, WORDS("--frobnicate", "REQUEST_METHOD=GET")));
    assert_non_null(strstr(log_of(responder), "--frobnicate"));
    assert_string_equal("", output_of(responder));
}

static void an_argument_too_many_is_refused(void **state)
{
    struct responder *responder = *state;
    const int status = run(responder, NULL, WORDS("now", "REQUEST_METHOD=GET"));
    expect_refusal(responder, status, EX_USAGE, "\"now\"");
}

static void nothing_to_answer_is_refused(void **state)
{
    struct responder *responder = *state;
    expect_refusal(responder, run(responder, NULL, WORDS("LOG_LEVEL=error")), EX_USAGE,
                   "REQUEST_METHOD");
    expect_refusal(responder, run(responder, NULL, WORDS("--single")), EX_USAGE, "REQUEST_METHOD");
}

#define SIXTY_FOUR "0123456789012345678901234567890123456789012345678901234567890123"

static void check_accepts_what_is_allowed(void **state)
{
    static char *const settings[] = {
        "GREETING=" SIXTY_FOUR, "GREETING_NAME=\xc3\xa9",    "WORKERS=1",
        "WORKERS=64",           "LOG_LEVEL=debug",           "K_SERVICE=s",
        "LOG_LEVEL=warning",    "K_REVISION=hello-00001-abc"};
    struct responder *responder = *state;
    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
        const int status = run(responder, NULL, WORDS("--check", settings[i]));
        if (status != EX_OK || *log_of(responder) || *output_of(responder))
            fail_msg("%s: expected status 0, got %d and: %s", printable(settings[i]), status,
                     printable(log_of(responder)));
    }
}

static void a_setting_that_is_not_allowed_is_named_on_one_line(void **state)
{
    static char *const settings[][2] = {
        {"WORKERS", "WORKERS=0"},
        {"WORKERS", "WORKERS=65"},
        {"WORKERS", "WORKERS="},
        {"WORKERS", "WORKERS=2x"},
        {"WORKERS", "WORKERS=-1"},
        {"WORKERS", "WORKERS=99999999999999999999"},
        {"LOG_LEVEL", "LOG_LEVEL=loud"},
        {"LOG_LEVEL", "LOG_LEVEL="},
        {"GREETING", "GREETING="},
        {"GREETING", "GREETING=" SIXTY_FOUR "4"},
        {"GREETING_NAME", "GREETING_NAME=\xff"},
        {"GREETING_NAME", "GREETING_NAME="},
        {"K_SERVICE", "K_SERVICE=\x01"},
        {"K_REVISION", "K_REVISION="},
        {"GREETING_NAME", "GREETING_NAME=" SIXTY_FOUR SIXTY_FOUR SIXTY_FOUR SIXTY_FOUR}};
    struct responder *responder = *state;
    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
        int status = run(responder, NULL, WORDS("--check", settings[i][1]));
        expect_refusal(responder, status, EX_CONFIG, settings[i][0]);
        status = run(responder, NULL, WORDS("REQUEST_METHOD=GET", settings[i][1]));
        expect_refusal(responder, status, EX_CONFIG, settings[i][0]);
    }
}

static void a_setting_of_several_lines_is_named_on_one(void **state)
{
    struct responder *responder = *state;
    const int status = run(responder, NULL, WORDS("--check", "GREETING_NAME=two\nlines"));
    expect_refusal(responder, status, EX_CONFIG, "\"two\\x0Alines\"");
}

static void what_a_setting_may_be_is_told_however_long_it_is(void **state)
{
    struct responder *responder = *state;
    static char name[5000] = "GREETING_NAME=";
    memset(name + 14, 'n', sizeof(name) - 15);
    const int status = run(responder, NULL, WORDS("--check", name));
    expect_refusal(responder, status, EX_CONFIG, "1 to 64 characters");
}

/* A socket on a free port of this host, and its "PORT=number". */
static int bind_port(int family, char variable[16])
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } address = {.v6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT}};
    if (family == AF_INET)
        address.v4 =
            (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    const int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, &address.any, length) < 0)
        skip(); /* this machine has no IPv6 */
    assert_int_equal(0, getsockname(fd, &address.any, &length));
    /* the port is at the same place in both */
    snprintf(variable, 16, "PORT=%d", ntohs(address.v4.sin_port));
    return fd;
}

static void expect_probed(struct responder *responder, int family, const char *answer, int status)
{
    static const char request[] = "GET /ready HTTP/1.0\r\n\r\n";
    char variable[16], asked[sizeof(request)] = "";
    const int listening = bind_port(family, variable);
    assert_int_equal(0, listen(listening, 1));
    start(responder, WORDS("--probe", variable));
    const int fd = accept(listening, NULL, NULL);
    assert_int_equal(sizeof(request) - 1, recv(fd, asked, sizeof(request) - 1, MSG_WAITALL));
    assert_string_equal(request, asked);
    if (answer) {
        const char *at = answer; /* which may come in pieces, and is read as far as it matters */
        while (*at && send(fd, at, 1, MSG_NOSIGNAL) == 1)
            at++;
        close(fd);
    }
    close(listening);
    expect_exit(responder, status);
    if (!answer)
        close(fd);
}

static const char is_ready[] = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nready\n";

static void probe_tells_a_service_that_is_ready(void **state)
{
    expect_probed(*state, AF_INET, is_ready, 0);
    expect_empty_log(*state);
}

static void probe_finds_a_service_that_has_only_ipv6(void **state)
{
    expect_probed(*state, AF_INET6, is_ready, 0);
    expect_empty_log(*state);
}

static void probe_waits_2_s_for_an_answer(void **state)
{
    expect_probed(*state, AF_INET, NULL, 1);
    expect_refusal(*state, 1, 1, "no answer within 2 s");
}

/* However it goes on: a byte every 300 ms. */
static void probe_waits_2_s_in_all(void **state)
{
    char variable[16], asked[64];
    const int listening = bind_port(AF_INET, variable);
    assert_int_equal(0, listen(listening, 1));
    start(*state, WORDS("--probe", variable));
    const int fd = accept(listening, NULL, NULL);
    assert_true(recv(fd, asked, sizeof(asked), 0) > 0);
    for (const char *at = is_ready; at < is_ready + 11 && send(fd, at, 1, MSG_NOSIGNAL) == 1; at++)
        poll(NULL, 0, 300);
    expect_refusal(*state, await_exit(*state), 1, "no answer within 2 s");
    close(fd);
    close(listening);
}

static void probe_tells_a_service_that_is_not_ready(void **state)
{
    static const char *const answers[] = {"HTTP/1.1 503 Service Unavailable\r\n\r\n",
                                          "HTTP/1.1 2000", "HTTP/1.1 200", ""};
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        expect_probed(*state, AF_INET, answers[i], 1);
        expect_refusal(*state, 1, 1, "not 200");
    }
}

static void probe_says_that_nobody_answers(void **state)
{
    char variable[16];
    const int fd = bind_port(AF_INET, variable);
    expect_refusal(*state, run(*state, NULL, WORDS("--probe", variable)), 1, variable + 5);
    close(fd);
}

static void probe_refuses_what_is_no_port(void **state)
{
    static const char *const ports[] = {"PORT=", "PORT=0", "PORT=65536", "PORT=80a", "PORT=-1"};
    for (size_t i = 0; i < sizeof(ports) / sizeof(ports[0]); i++)
        expect_refusal(*state, run(*state, NULL, WORDS("--probe", ports[i])), 1, "PORT");
}

/* A connection must not get a descriptor that the log is written to. */
static void closed_standard_streams_send_no_log_line_to_a_client(void **state)
{
    struct responder *responder = *state;
    responder->without_streams = true;
    serve_and_log(state, 1, "debug");
    struct client *client = client_open(responder);
    for (int i = 0; i < 5; i++)
        expect_greeting(client, &kept);
    expect_unharmed(responder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_wire(CGI_answers_GET),
        cmocka_unit_test_wire(CGI_answers_HEAD_without_the_body),
        cmocka_unit_test_wire(CGI_reads_its_settings_and_its_request_from_one_environment),
        cmocka_unit_test_wire(CGI_without_REQUEST_URI_takes_its_target_apart),
        cmocka_unit_test_wire(CGI_refuses_too_long_a_target_also_without_REQUEST_URI),
        cmocka_unit_test_wire(CGI_reads_a_body_to_its_declared_length),
        cmocka_unit_test_wire(CGI_refuses_a_negative_length),
        cmocka_unit_test_wire(CGI_refuses_PUT_behind_its_body),
        cmocka_unit_test_wire(single_answers_a_CGI_request_too),
        cmocka_unit_test_wire(single_answers_connections_one_after_the_other),
        cmocka_unit_test_wire(single_answers_requests_on_a_kept_connection),
        cmocka_unit_test_wire(single_keeps_a_connection_whose_requests_come_in_pieces),
        cmocka_unit_test_wire(single_refuses_a_body_that_is_not_as_long_as_declared),
        cmocka_unit_test_wire(single_stops_when_it_is_idle),
        cmocka_unit_test_wire(single_stops_on_an_idle_kept_connection),
        cmocka_unit_test_wire(single_reads_a_body_that_SIGTERM_cuts_to_its_end),
        cmocka_unit_test_wire(single_reads_a_large_body_that_SIGTERM_cuts_to_its_end),
        cmocka_unit_test_wire(help_is_printed),
        cmocka_unit_test_wire(version_and_commit_are_printed_on_one_line),
        cmocka_unit_test_wire(an_unknown_option_is_refused),
        cmocka_unit_test_wire(an_argument_too_many_is_refused),
        cmocka_unit_test_wire(nothing_to_answer_is_refused),
        cmocka_unit_test_wire(check_accepts_what_is_allowed),
        cmocka_unit_test_wire(a_setting_that_is_not_allowed_is_named_on_one_line),
        cmocka_unit_test_wire(a_setting_of_several_lines_is_named_on_one),
        cmocka_unit_test_wire(what_a_setting_may_be_is_told_however_long_it_is),
        cmocka_unit_test_wire(probe_tells_a_service_that_is_ready),
        cmocka_unit_test_wire(probe_finds_a_service_that_has_only_ipv6),
        cmocka_unit_test_wire(probe_waits_2_s_for_an_answer),
        cmocka_unit_test_wire(probe_waits_2_s_in_all),
        cmocka_unit_test_wire(probe_tells_a_service_that_is_not_ready),
        cmocka_unit_test_wire(probe_says_that_nobody_answers),
        cmocka_unit_test_wire(probe_refuses_what_is_no_port),
        cmocka_unit_test_wire(closed_standard_streams_send_no_log_line_to_a_client),
    };
    return cmocka_run_group_tests_name("modes", tests, NULL, NULL);
}
