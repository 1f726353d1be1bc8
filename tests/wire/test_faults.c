/* Workers that hang, and requests that they do not survive. The responder is the one with faults,
 * tests/faults. */
#include "client.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

enum { TIMEOUT_MS = 1000, HURRY_MS = TIMEOUT_MS / 2 };

static const char *faulty;

static struct responder *serve_faulty_in(void **state, unsigned workers, const char *setting)
{
    struct responder *responder = *state;
    char count[32];
    snprintf(count, sizeof(count), "WORKERS=%u", workers);
    setenv("RESPONDER", faulty, 1);
    start(responder, WORDS(count, "LOG_LEVEL=warning", "REQUEST_TIMEOUT=1", setting));
    await_workers(responder, workers);
    return responder;
}

/* Others than root may not count the descriptors of a process in the sandbox, as await_workers
 * does. */
static const char *sandbox(void)
{
    return geteuid() == 0 ? "SANDBOX=on" : "SANDBOX=off";
}

static struct responder *serve_faulty(void **state, unsigned workers)
{
    return serve_faulty_in(state, workers, sandbox());
}

static struct client *ask_with(struct responder *responder, const struct request *request)
{
    struct client *client = client_open(responder);
    client_ask(client, request);
    return client;
}

static struct client *ask_for(struct responder *responder, const char *target)
{
    return ask_with(responder, &(struct request){.target = target});
}

static void expect_said(struct responder *responder, const char *expected)
{
    await(strstr(log_of(responder), expected), "\"%s\" is to be said, not: %s", expected,
          printable(log_of(responder)));
}

static size_t times_said(struct responder *responder, const char *text)
{
    size_t times = 0;
    for (const char *at = log_of(responder); (at = strstr(at, text)); at++)
        times++;
    return times;
}

static void stop_normally(struct responder *responder)
{
    assert_int_equal(0, kill(responder->pid, SIGTERM));
    expect_exit(responder, EX_OK);
}

static void let_pass(int64_t ms)
{
    const int64_t until = now_ms() + ms;
    await(now_ms() > until, "time is to go by");
}

/* --- Workers that hang ---------------------------------------------------------------------- */

/* The other worker answers meanwhile, on old connections and on new ones. */
static void expect_replaced_while_the_other_answers(struct responder *responder, pid_t hung)
{
    const int64_t began_ms = now_ms();
    for (; now_ms() < began_ms + HURRY_MS; let_pass(10))
        expect_prompt_greeting(client_open(responder), &unkept);
    await_replacement(responder, hung);
    assert_in_range(now_ms() - began_ms, HURRY_MS, DEADLINE_MS);
    expect_greeting(open_to(responder, 0), &kept);
    expect_greeting(open_to(responder, 1), &kept);
}

static pid_t hang(struct responder *responder, const char *target, struct client **client)
{
    const pid_t hung = responder->worker[0];
    *client = open_to(responder, 0);
    client_ask(*client, &(struct request){.target = target, .keep = true});
    await_read(*client);
    return hung;
}

static void expect_hang_ended(void **state, const char *target, const char *setting)
{
    struct responder *responder = serve_faulty_in(state, 2, setting);
    char expected[128];
    struct client *client;
    let_pass(3 * HURRY_MS); /* the parent sleeps */
    const pid_t hung = hang(responder, target, &client);
    expect_replaced_while_the_other_answers(responder, hung);
    expect_closed(client);
    snprintf(expected, sizeof(expected),
             "worker %d did nothing for 1 s and is replaced; it had GET %s in hand", (int)hung,
             target);
    expect_said(responder, expected);
    stop_normally(responder);
    assert_int_equal(1, lines_in(log_of(responder)));
}

static void a_worker_in_an_endless_loop_is_replaced(void **state)
{
    expect_hang_ended(state, "/fault/spin", sandbox());
}

static void a_worker_that_waits_for_ever_is_replaced(void **state)
{
    expect_hang_ended(state, "/fault/wait", "SANDBOX=off"); /* where it may wait */
}

static void a_stopped_worker_is_replaced(void **state)
{
    struct responder *responder = serve_faulty(state, 2);
    const pid_t hung = responder->worker[0];
    freeze(hung);
    expect_replaced_while_the_other_answers(responder, hung);
    expect_said(responder, "did nothing for 1 s and is replaced");
    stop_normally(responder);
}

static void a_worker_that_is_stopped_and_continued_goes_on(void **state)
{
    struct responder *responder = serve_faulty(state, 1);
    for (int i = 0; i < 4; i++) {
        freeze(responder->worker[0]);
        let_pass(HURRY_MS);
        thaw(responder->worker[0]);
        expect_greeting(client_open(responder), &unkept);
    }
    expect_unharmed(responder);
}

static void a_request_that_takes_less_than_the_timeout_is_answered(void **state)
{
    struct responder *responder = serve_faulty(state, 1);
    for (int i = 0; i < 3; i++)
        expect_answer(ask_for(responder, "/fault/slow"), 404, NULL);
    expect_unharmed(responder);
}

/* As a container is paused, or loses its CPU: all of it stands still, but for the clock. */
static void a_service_that_was_frozen_as_a_whole_goes_on(void **state)
{
    struct responder *responder = serve_faulty(state, 1);
    struct client *client = ask_for(responder, "/fault/slow");
    await_read(client);
    kill(responder->pid, SIGSTOP);
    kill(responder->worker[0], SIGSTOP);
    let_pass(3 * TIMEOUT_MS);
    thaw(responder->worker[0]);
    thaw(responder->pid);
    expect_answer(client, 404, NULL);
    expect_unharmed(responder);
}

static unsigned long switches_of(pid_t pid)
{
    char path[64], line[128];
    unsigned long switches = 0;
    snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    while (fgets(line, sizeof(line), file))
        sscanf(line, "voluntary_ctxt_switches: %lu", &switches);
    fclose(file);
    return switches;
}

static void an_idle_service_does_not_wake(void **state)
{
    struct responder *responder = serve_faulty(state, 2);
    expect_greeting(client_open(responder), &unkept);
    let_pass(2 * TIMEOUT_MS);
    const unsigned long parent = switches_of(responder->pid);
    const unsigned long worker = switches_of(responder->worker[0]);
    const long used_ms = cpu_ms(responder->pid); /* who does not even sleep is not woken either */
    let_pass(2 * TIMEOUT_MS);
    assert_in_range(cpu_ms(responder->pid) - used_ms, 0, TIMEOUT_MS / 10);
    assert_int_equal(parent, switches_of(responder->pid));
    assert_int_equal(worker, switches_of(responder->worker[0]));
    expect_unharmed(responder);
}

static void all_workers_may_hang_at_once(void **state)
{
    struct responder *responder = serve_faulty(state, 4);
    struct client *hung[4];
    for (unsigned i = 0; i < 4; i++)
        hung[i] = open_to(responder, i);
    for (int i = 0; i < 4; i++)
        client_ask(hung[i], &(struct request){.target = "/fault/spin"});
    for (int i = 0; i < 4; i++)
        await_read(hung[i]);
    expect_greeting(client_open(responder), &unkept);
    for (int i = 0; i < 4; i++)
        expect_closed(hung[i]);
    await(times_said(responder, "did nothing for 1 s") == 4, "four are to be ended, not: %s",
          printable(log_of(responder)));
    stop_normally(responder);
}

/* --- Requests that workers do not survive --------------------------------------------------- */

static const char refused[] = "500 Internal Server Error\nThis request has ended the process that "
                              "answered it, twice. It is refused for a minute.\n";

static void expect_quarantine(void **state, const char *target)
{
    struct responder *responder = serve_faulty(state, 2);
    expect_closed(ask_for(responder, target));
    expect_closed(ask_for(responder, target));
    expect_said(responder, "has ended 2 workers and is refused for 60 s");
    for (int i = 0; i < 20; i++) {
        expect_answer(ask_for(responder, target), 500, refused);
        expect_greeting(client_open(responder), &unkept);
    }
    assert_int_equal(2, times_said(responder, "in hand"));
    assert_int_equal(1, times_said(responder, "refused"));
    assert_int_equal(20, times_said(responder, " answers 500: the workers that took this"));
    stop_normally(responder);
}

static void a_request_that_crashes_its_worker_twice_is_refused(void **state)
{
    expect_quarantine(state, "/fault/segv");
}

static void a_request_that_aborts_its_worker_twice_is_refused(void **state)
{
    expect_quarantine(state, "/fault/abort");
}

static void a_request_that_exits_its_worker_twice_is_refused(void **state)
{
    expect_quarantine(state, "/fault/exit");
}

static void a_request_that_hangs_its_worker_twice_is_refused(void **state)
{
    expect_quarantine(state, "/fault/spin");
}

/* What is killed or stopped from outside has what is asked for most in hand. */
static void expect_no_blame(void **state, int signal)
{
    struct responder *responder = serve_faulty(state, 1);
    for (int i = 0; i < 3; i++) {
        const pid_t victim = responder->worker[0];
        struct client *client = ask_for(responder, "/fault/say");
        await(times_said(responder, "begun\n") > (size_t)i, "the request is to be in hand");
        kill(victim, signal);
        expect_closed(client);
        await_replacement(responder, victim);
    }
    expect_answer(ask_for(responder, "/fault/say"), 404, NULL);
    stop_normally(responder);
    assert_int_equal(3, times_said(responder, "GET /fault/say in hand"));
}

static void a_request_whose_worker_was_killed_is_not_to_blame(void **state)
{
    expect_no_blame(state, SIGKILL);
}

static void a_request_whose_worker_was_stopped_is_not_to_blame(void **state)
{
    expect_no_blame(state, SIGSTOP);
}

static void other_requests_for_the_same_route_are_not_refused(void **state)
{
    struct responder *responder = serve_faulty(state, 2);
    for (int i = 0; i < 3; i++) {
        char target[32], said[64];
        snprintf(target, sizeof(target), "/fault/segv?%d", i);
        snprintf(said, sizeof(said), "GET %s has ended 2 workers", target);
        expect_closed(ask_for(responder, target));
        expect_closed(ask_for(responder, target));
        expect_said(responder, said);
        expect_answer(ask_for(responder, target), 500, refused);
    }
    expect_greeting(client_open(responder), &unkept);
    stop_normally(responder);
}

/* Whatever its records are; of a body that is too long to be kept its length is what tells. */
static void a_fatal_body_is_refused_and_no_other_body_for_the_same_route(void **state)
{
    static const struct request fatal[] = {
        {.method = "POST", .target = "/fault/body", .type = "a/b", .content = "segv"},
        {.method = "POST", .target = "/fault/segv", .type = "a/b", .body = 70000}};
    struct request other = fatal[0];
    struct responder *responder = serve_faulty(state, 2);
    for (size_t i = 0; i < sizeof(fatal) / sizeof(fatal[0]); i++) {
        struct request request = fatal[i];
        for (int k = 0; k < 2; k++)
            expect_closed(ask_with(responder, &request));
        await(times_said(responder, "has ended 2 workers") == i + 1, "it is to be refused");
        for (uint16_t length = 1; length < 5; length++) {
            request.record_max = request.content ? length : 0;
            expect_answer(ask_with(responder, &request), 500, refused);
        }
    }
    for (size_t i = 0; i < 5; i++) {
        other.content = ((const char *[]){"", "seg", "segw", "segv ", "gesv"})[i];
        expect_answer(ask_with(responder, &other), 404, NULL);
    }
    stop_normally(responder);
}

/* At fifty a second and more, by several clients at once, which is what takes all workers down at
 * first; others are answered, and the service does not give up. */
static void a_repeated_fatal_request_ends_a_few_workers_and_no_more(void **state)
{
    enum { ROUNDS = 100, AT_ONCE = 4 };
    struct responder *responder = serve_faulty(state, 2);
    for (int round = 0; round < ROUNDS; round++) {
        struct client *fatal[AT_ONCE];
        for (int i = 0; i < AT_ONCE; i++)
            fatal[i] = ask_for(responder, "/fault/segv");
        expect_greeting_or_end(ask_for(responder, "/"));
        for (int i = 0; i < AT_ONCE; i++)
            await_end(fatal[i]);
    }
    expect_prompt_greeting(client_open(responder), &unkept);
    assert_in_range(times_said(responder, "is replaced"), 2, 2 + AT_ONCE);
    stop_normally(responder);
}

static void a_service_whose_workers_die_of_requests_goes_on(void **state)
{
    struct responder *responder = serve_faulty(state, 1);
    for (int i = 0; i < 20; i++) {
        char target[32];
        snprintf(target, sizeof(target), "/fault/segv?%d", i);
        expect_closed(ask_for(responder, target));
    }
    expect_greeting(client_open(responder), &unkept);
    stop_normally(responder);
}

/* --- The responder that is shipped ---------------------------------------------------------- */

static const char *shipped;

static void the_responder_that_is_shipped_has_no_faults(void **state)
{
    setenv("RESPONDER", shipped, 1);
    struct responder *responder = serve(state, 1);
    static const char *const targets[] = {"/fault/spin", "/fault/segv", "/fault/exit"};
    for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++)
        expect_answer(ask_for(responder, targets[i]), 404, NULL);
    expect_unharmed(responder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_wire(a_worker_in_an_endless_loop_is_replaced),
        cmocka_unit_test_wire(a_worker_that_waits_for_ever_is_replaced),
        cmocka_unit_test_wire(a_stopped_worker_is_replaced),
        cmocka_unit_test_wire(a_worker_that_is_stopped_and_continued_goes_on),
        cmocka_unit_test_wire(a_request_that_takes_less_than_the_timeout_is_answered),
        cmocka_unit_test_wire(a_service_that_was_frozen_as_a_whole_goes_on),
        cmocka_unit_test_wire(an_idle_service_does_not_wake),
        cmocka_unit_test_wire(all_workers_may_hang_at_once),
        cmocka_unit_test_wire(a_request_that_crashes_its_worker_twice_is_refused),
        cmocka_unit_test_wire(a_request_that_aborts_its_worker_twice_is_refused),
        cmocka_unit_test_wire(a_request_that_exits_its_worker_twice_is_refused),
        cmocka_unit_test_wire(a_request_that_hangs_its_worker_twice_is_refused),
        cmocka_unit_test_wire(a_request_whose_worker_was_killed_is_not_to_blame),
        cmocka_unit_test_wire(a_request_whose_worker_was_stopped_is_not_to_blame),
        cmocka_unit_test_wire(other_requests_for_the_same_route_are_not_refused),
        cmocka_unit_test_wire(a_fatal_body_is_refused_and_no_other_body_for_the_same_route),
        cmocka_unit_test_wire(a_repeated_fatal_request_ends_a_few_workers_and_no_more),
        cmocka_unit_test_wire(a_service_whose_workers_die_of_requests_goes_on),
        cmocka_unit_test_wire(the_responder_that_is_shipped_has_no_faults),
    };
    shipped = program();
    faulty = faulty_program();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
