/* Routes that wait, and the workers that they have for themselves. The responder is the one with
 * faults, tests/faults, where /wait/NAME is such a route. /wait/gate waits for a byte in a pipe. */
#include "client.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

enum { WAITING = 3 };

static char gate_path[64], gate_target[96];
static int gate;

static struct responder *serve_waiting(void **state, unsigned workers, unsigned waiting)
{
    struct responder *responder = *state;
    char setting[2][32];
    snprintf(setting[0], sizeof(setting[0]), "WORKERS=%u", workers);
    snprintf(setting[1], sizeof(setting[1]), "WAITING_WORKERS=%u", waiting);
    start(responder, WORDS(setting[0], setting[1], "WAITS=1", "LOG_LEVEL=warning",
                           "REQUEST_TIMEOUT=3600", geteuid() == 0 ? "SANDBOX=on" : "SANDBOX=off"));
    await_workers(responder, workers + waiting);
    snprintf(gate_path, sizeof(gate_path), "%s/gate", responder->directory);
    snprintf(gate_target, sizeof(gate_target), "/wait/gate?%s", gate_path);
    assert_int_equal(0, mkfifo(gate_path, 0600));
    gate = open(gate_path, O_RDWR | O_CLOEXEC);
    assert_true(gate >= 0);
    return responder;
}

static void stop_normally(struct responder *responder)
{
    kill(responder->pid, SIGTERM);
    expect_exit(responder, EX_OK);
    close(gate);
}

static struct client *ask_with(struct responder *responder, const struct request *request)
{
    struct client *client = client_open(responder);
    client_ask(client, request);
    return client;
}

static struct client *ask_for(struct responder *responder, const char *target)
{
    return ask_with(responder, &(struct request){.target = target, .keep = true});
}

static size_t times_said(struct responder *responder, const char *text)
{
    size_t times = 0;
    for (const char *at = log_of(responder); (at = strstr(at, text)); at++)
        times++;
    return times;
}

static void await_begun(struct responder *responder, size_t count)
{
    await(times_said(responder, "begun\n") == count, "%zu are to have begun, not %zu; log: %s",
          count, times_said(responder, "begun\n"), printable(log_of(responder)));
}

static void release(unsigned count)
{
    while (count-- > 0)
        assert_int_equal(1, write(gate, ".", 1));
}

static struct client *ask_to_wait(struct responder *responder)
{
    return ask_for(responder, gate_target);
}

static void expect_waited(struct client *client)
{
    expect_answer(client, 404, NULL); /* the fault is over; there is no such route */
    assert_true(is_farewell(expect_record(client, "a farewell")));
    expect_closed(client);
}

/* As many as there are workers at once, and the next when one of them is done; others do not wait.
 */
static void as_many_wait_as_there_are_workers(void **state)
{
    struct responder *responder = serve_waiting(state, 1, WAITING);
    struct client *clients[3 * WAITING];
    for (unsigned i = 0; i < 3 * WAITING; i++)
        clients[i] = ask_to_wait(responder);
    await_begun(responder, WAITING);
    for (unsigned begun = WAITING; begun < 3 * WAITING; begun++) {
        for (int i = 0; i < 5; i++)
            expect_prompt_greeting(client_open(responder), &unkept);
        await_begun(responder, begun);
        release(1);
        await_begun(responder, begun + 1);
    }
    release(WAITING);
    for (unsigned i = 0; i < 3 * WAITING; i++)
        expect_waited(clients[i]);
    stop_normally(responder);
}

static void requests_on_a_kept_connection_may_wait_too(void **state)
{
    struct responder *responder = serve_waiting(state, 1, 1);
    struct client *client = client_open(responder);
    expect_greeting(client, &kept);
    client_ask(client, &(struct request){.target = gate_target, .keep = true});
    release(1);
    expect_waited(client);
    stop_normally(responder);
}

/* It is for those who would use the connection again. */
static void a_connection_that_was_not_to_be_kept_gets_no_farewell(void **state)
{
    struct responder *responder = serve_waiting(state, 1, 1);
    struct client *client = client_open(responder);
    client_ask(client, &(struct request){.target = gate_target});
    release(1);
    expect_answer(client, 404, NULL);
    await_end(client);
    assert_int_equal(client->taken, client->received->length);
    stop_normally(responder);
}

/* Who has gone before a worker had time is not worth a worker's time. */
static void what_nobody_waits_for_is_not_begun(void **state)
{
    struct responder *responder = serve_waiting(state, 1, 1);
    struct client *first = ask_to_wait(responder), *gone = ask_to_wait(responder);
    await_begun(responder, 1);
    expect_greeting(client_open(responder), &unkept); /* the one worker has seen all */
    client_close(gone);
    struct client *last = ask_to_wait(responder);
    release(2);
    expect_waited(first);
    expect_waited(last);
    await_begun(responder, 2);
    stop_normally(responder);
}

static void a_client_that_leaves_a_waiting_worker_does_no_harm(void **state)
{
    struct responder *responder = serve_waiting(state, 1, 1);
    client_close(ask_to_wait(responder));
    struct client *client = ask_to_wait(responder);
    await_begun(responder, 1);
    client_close(client);
    release(2);
    expect_waited(ask_to_wait(responder));
    stop_normally(responder);
}

static void expect_metric(struct responder *responder, const char *line)
{
    struct bytes *metrics = bytes_new();
    add_pair(metrics, "METRICS", "1");
    struct client *client =
        ask_with(responder, &(struct request){.target = "/metrics", .more = metrics});
    expect_answer(client, 200, NULL);
    if (!strstr(client->answer.body, line))
        fail_msg("%s is missing in %s", line, client->answer.body);
}

static void more_than_can_wait_are_refused_and_the_others_answered(void **state)
{
    enum { MOST = 400 };
    static struct client *clients[MOST];
    struct responder *responder = serve_waiting(state, 1, 1);
    unsigned count = 0;
    for (bool refused = false; count < MOST && !refused; count++) {
        clients[count] = ask_to_wait(responder);
        expect_prompt_greeting(client_open(responder), &unkept); /* behind it */
        refused = poll(&(struct pollfd){.fd = clients[count]->fd, .events = POLLIN}, 1, 0) > 0;
    }
    assert_in_range(count, 20, MOST - 1);
    expect_answer(clients[count - 1], 503, NULL);
    assert_non_null(strstr((char *)clients[count - 1]->output->data, "\r\nRetry-After: 1\r\n"));
    const struct request head = {.method = "HEAD", .target = gate_target};
    expect_answer(ask_with(responder, &head), 503, NULL);
    expect_metric(responder, "\nhttp_server_requests_total{http_route=\"/\",http_request_method="
                             "\"GET\",http_response_status_code=\"503\"} 1\n");
    assert_int_equal(1, times_said(responder, "others are refused; see WAITING_WORKERS"));
    for (unsigned i = 0; i < count - 1; i++) {
        release(1);
        expect_waited(clients[i]);
    }
    stop_normally(responder);
}

static void ask_with_field(struct client *client, size_t length)
{
    static char value[128 * 1024 + 1];
    struct bytes *more = bytes_new();
    memset(value, 'x', length);
    value[length] = '\0';
    add_pair(more, "HTTP_X_LONG", value);
    client_ask(client, &(struct request){.target = gate_target, .keep = true, .more = more});
}

static void what_is_too_long_to_be_handed_over_is_refused(void **state)
{
    struct responder *responder = serve_waiting(state, 1, 1);
    struct client *client = client_open(responder);
    ask_with_field(client, 128 * 1024);
    expect_answer(client, 413, NULL);
    expect_greeting(client, &kept);
    ask_with_field(client, 127 * 1024);
    release(1);
    expect_waited(client);
    stop_normally(responder);
}

/* --- What befalls a worker that waits ------------------------------------------------------- */

static void expect_said(struct responder *responder, const char *expected)
{
    await(strstr(log_of(responder), expected), "\"%s\" is to be said, not: %s", expected,
          printable(log_of(responder)));
}

static void a_waiting_worker_that_is_killed_is_replaced(void **state)
{
    struct responder *responder = serve_waiting(state, 1, 1);
    const pid_t victim = responder->worker[1];
    struct client *lost = ask_to_wait(responder), *next = ask_to_wait(responder);
    await_begun(responder, 1);
    kill(victim, SIGKILL);
    expect_closed(lost);
    await_replacement(responder, victim);
    release(1);
    expect_waited(next);
    stop_normally(responder);
    expect_said(responder, "was killed by signal 9 and is replaced; it had GET /wait/gate");
}

/* What it waits for in vain is not the request's fault: the same is tried again. */
static void a_waiting_worker_that_hangs_is_replaced_and_no_request_blamed(void **state)
{
    struct responder *responder = *state;
    start(responder, WORDS("WORKERS=1", "WAITING_WORKERS=1", "WAITS=1", "LOG_LEVEL=warning",
                           "REQUEST_TIMEOUT=1", "SANDBOX=off"));
    await_workers(responder, 2);
    for (int i = 0; i < 3; i++) {
        struct client *client = ask_for(responder, "/wait/wait");
        expect_prompt_greeting(client_open(responder), &unkept);
        expect_closed(client);
    }
    await(times_said(responder, "did nothing for 1 s and is replaced") == 3, "three were ended: %s",
          printable(log_of(responder)));
    kill(responder->pid, SIGTERM);
    expect_exit(responder, EX_OK);
    assert_int_equal(3, lines_in(log_of(responder)));
}

static void a_request_that_crashes_waiting_workers_is_refused(void **state)
{
    struct responder *responder = serve_waiting(state, 1, 2);
    expect_closed(ask_for(responder, "/wait/segv"));
    expect_closed(ask_for(responder, "/wait/segv"));
    expect_said(responder, "GET /wait/segv has ended 2 workers and is refused for 60 s");
    expect_answer(ask_for(responder, "/wait/segv"), 500, NULL);
    assert_int_equal(2, times_said(responder, "in hand"));
    stop_normally(responder);
}

/* The worker that waits does what the body says, and only that body is refused. */
static void a_body_is_handed_over_with_its_request(void **state)
{
    struct responder *responder = serve_waiting(state, 1, 2);
    struct request request = {
        .method = "POST", .target = "/wait/body", .type = "a/b", .content = "say"};
    expect_answer(ask_with(responder, &request), 404, NULL);
    await_begun(responder, 1);
    request.content = "segv";
    for (request.record_max = 1; request.record_max < 3; request.record_max++)
        expect_closed(ask_with(responder, &request));
    expect_said(responder, "POST /wait/body has ended 2 workers and is refused for 60 s");
    expect_answer(ask_with(responder, &request), 500, NULL);
    request.content = "gesv";
    expect_answer(ask_with(responder, &request), 404, NULL);
    stop_normally(responder);
}

/* --- The stop ------------------------------------------------------------------------------- */

/* What is in hand, and what waits for a worker. */
static void a_stop_waits_for_those_that_wait(void **state)
{
    struct responder *responder = serve_waiting(state, 2, 1);
    struct client *clients[4];
    for (int i = 0; i < 4; i++)
        clients[i] = ask_to_wait(responder);
    await_begun(responder, 1);
    kill(responder->pid, SIGTERM);
    await_end_of(responder->worker[0]);
    await_end_of(responder->worker[1]);
    release(4);
    for (int i = 0; i < 4; i++)
        expect_waited(clients[i]);
    expect_exit(responder, EX_OK);
    assert_int_equal(0, times_said(responder, "killed"));
    close(gate);
}

static void let_pass(int64_t ms)
{
    const int64_t until = now_ms() + ms;
    await(now_ms() > until, "time is to go by");
}

/* What is handed over during the stop finds somebody: workers that wait leave last. */
static void a_stop_leaves_somebody_for_what_is_handed_over_late(void **state)
{
    struct responder *responder = serve_waiting(state, 1, 2);
    struct client *client = client_open(responder);
    expect_greeting(client, &kept);
    freeze(responder->worker[0]);
    client_ask(client, &(struct request){.target = gate_target, .keep = true});
    kill(responder->pid, SIGTERM);
    let_pass(100);
    release(1);
    thaw(responder->worker[0]);
    expect_waited(client);
    expect_exit(responder, EX_OK);
    close(gate);
}

/* The connection is somebody else's: what happens on it must not wake the worker that had it. */
static void what_is_handed_over_costs_nobody_else_time(void **state)
{
    enum { WATCHED_MS = 300 };
    struct responder *responder = serve_waiting(state, 1, 1);
    struct client *client = ask_to_wait(responder);
    await_begun(responder, 1);
    client_close(client);
    const long before = cpu_ms(responder->worker[0]);
    let_pass(WATCHED_MS);
    assert_in_range(cpu_ms(responder->worker[0]) - before, 0, WATCHED_MS / 10);
    release(1);
    stop_normally(responder);
}

static void a_stop_does_not_wait_for_ever(void **state)
{
    struct responder *responder = serve_waiting(state, 1, 1);
    struct client *client = ask_to_wait(responder);
    await_begun(responder, 1);
    kill(responder->pid, SIGTERM);
    expect_closed(client);
    expect_exit(responder, EX_OK);
    expect_said(responder, "workers did not stop within 2500 ms and are killed");
    close(gate);
}

/* --- What is shown, and what is allowed ----------------------------------------------------- */

static void expect_busy(struct responder *responder, unsigned busy)
{
    char line[64];
    snprintf(line, sizeof(line), "\nresponder_waiting_workers_busy %u\n", busy);
    expect_metric(responder, line);
    expect_metric(responder, "\nresponder_waiting_workers 3\n");
}

static void the_metrics_show_how_many_wait(void **state)
{
    struct responder *responder = serve_waiting(state, 1, WAITING);
    struct client *clients[2];
    expect_busy(responder, 0);
    for (int i = 0; i < 2; i++)
        clients[i] = ask_to_wait(responder);
    await_begun(responder, 2);
    expect_busy(responder, 2);
    release(2);
    for (int i = 0; i < 2; i++)
        expect_waited(clients[i]);
    stop_normally(responder);
}

/* As the client of a database does, by name, in the sandbox. */
static void a_waiting_worker_may_connect(void **state)
{
    struct responder *responder = serve_waiting(state, 1, 1);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    char target[64];
    const int database = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(0, bind(database, (struct sockaddr *)&address, size));
    assert_int_equal(0, listen(database, 1));
    assert_int_equal(0, getsockname(database, (struct sockaddr *)&address, &size));
    snprintf(target, sizeof(target), "/wait/connect?%u", ntohs(address.sin_port));
    struct client *client = ask_for(responder, target);
    const int connection = accept4(database, NULL, NULL, SOCK_CLOEXEC);
    assert_int_equal(1, send(connection, ".", 1, MSG_NOSIGNAL));
    expect_waited(client);
    close(connection);
    close(database);
    stop_normally(responder);
}

#ifdef __SANITIZE_ADDRESS__
static const bool sanitized = true;
#else
static const bool sanitized = false;
#endif

static void a_waiting_worker_may_not_run_programs(void **state)
{
    if (sanitized || geteuid() != 0)
        skip();
    struct responder *responder = serve_waiting(state, 1, 1);
    expect_closed(ask_for(responder, "/wait/execve"));
    expect_said(responder, "made the system call execve, which the sandbox refuses");
    stop_normally(responder);
}

static void other_workers_may_not_connect(void **state)
{
    if (sanitized || geteuid() != 0)
        skip();
    struct responder *responder = serve_waiting(state, 1, 1);
    expect_closed(ask_for(responder, "/fault/socket"));
    expect_said(responder, "made the system call socket, which the sandbox refuses");
    stop_normally(responder);
}

/* --- Where there are no such workers -------------------------------------------------------- */

static void a_service_without_such_routes_has_no_such_workers(void **state)
{
    struct responder *responder = *state;
    start(responder, WORDS("WORKERS=2", "WAITING_WORKERS=5", "LOG_LEVEL=error"));
    await_workers(responder, 2);
    expect_answer(ask_for(responder, "/wait/slow"), 404, NULL);
    expect_unharmed(responder);
}

static void single_waits_by_itself(void **state)
{
    struct responder *responder = *state;
    start(responder, WORDS("WAITS=1", "--single"));
    struct client *client = client_open(responder);
    client_ask(client, &(struct request){.target = "/wait/sleep?1"});
    expect_answer(client, 404, NULL);
    expect_closed(client);
    client_close(client);
    kill(responder->pid, SIGTERM);
    expect_quiet_exit(responder);
}

static void a_CGI_program_waits_by_itself(void **state)
{
    struct responder *responder = *state;
    struct answer answer;
    assert_int_equal(
        EX_OK,
        run(responder, NULL, WORDS("WAITS=1", "REQUEST_METHOD=GET", "REQUEST_URI=/wait/sleep?1")));
    const char *printed = output_of(responder);
    assert_true(parse_answer(printed, strlen(printed), false, &answer));
    assert_int_equal(404, answer.status);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_wire(as_many_wait_as_there_are_workers),
        cmocka_unit_test_wire(requests_on_a_kept_connection_may_wait_too),
        cmocka_unit_test_wire(a_connection_that_was_not_to_be_kept_gets_no_farewell),
        cmocka_unit_test_wire(what_nobody_waits_for_is_not_begun),
        cmocka_unit_test_wire(a_client_that_leaves_a_waiting_worker_does_no_harm),
        cmocka_unit_test_wire(more_than_can_wait_are_refused_and_the_others_answered),
        cmocka_unit_test_wire(what_is_too_long_to_be_handed_over_is_refused),
        cmocka_unit_test_wire(a_waiting_worker_that_is_killed_is_replaced),
        cmocka_unit_test_wire(a_waiting_worker_that_hangs_is_replaced_and_no_request_blamed),
        cmocka_unit_test_wire(a_request_that_crashes_waiting_workers_is_refused),
        cmocka_unit_test_wire(a_body_is_handed_over_with_its_request),
        cmocka_unit_test_wire(a_stop_waits_for_those_that_wait),
        cmocka_unit_test_wire(a_stop_leaves_somebody_for_what_is_handed_over_late),
        cmocka_unit_test_wire(what_is_handed_over_costs_nobody_else_time),
        cmocka_unit_test_wire(a_stop_does_not_wait_for_ever),
        cmocka_unit_test_wire(the_metrics_show_how_many_wait),
        cmocka_unit_test_wire(a_waiting_worker_may_connect),
        cmocka_unit_test_wire(a_waiting_worker_may_not_run_programs),
        cmocka_unit_test_wire(other_workers_may_not_connect),
        cmocka_unit_test_wire(a_service_without_such_routes_has_no_such_workers),
        cmocka_unit_test_wire(single_waits_by_itself),
        cmocka_unit_test_wire(a_CGI_program_waits_by_itself),
    };
    use_faulty_responder();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
