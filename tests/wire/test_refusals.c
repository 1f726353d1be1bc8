/* What the system refuses: nothing of it lets a process spin, or fills the log. It is done without,
 * is tried again until it works, or ends the process that cannot do without it, with one line. The
 * responder is the one with faults, tests/faults, which says so when a call is refused ever so
 * often. */
#include "client.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

enum { BODY = 60000, SEND_MS = 5000, SHORT_MS = 300, STARTED_MS = 800 };

static const int refusals[] = {EPERM, ENOSYS};

/* The call is refused for so many times (0: always) after so many. more: a further setting. */
static void start_refused(struct responder *responder, const char *call, int error, int times,
                          int after, const char *more)
{
    char words[4][48];
    snprintf(words[0], sizeof(words[0]), "REFUSE=%s", call);
    snprintf(words[1], sizeof(words[1]), "ERRNO=%d", error);
    snprintf(words[2], sizeof(words[2]), "TIMES=%d", times);
    snprintf(words[3], sizeof(words[3]), "AFTER=%d", after);
    start(responder, WORDS("WORKERS=1", "WAITING_WORKERS=1", "LOG_LEVEL=warning",
                           "REQUEST_TIMEOUT=1", "SANDBOX=off", words[0], words[1], words[2],
                           words[3], "ASAN_OPTIONS=detect_leaks=0", more));
}

static struct responder *serve_refused(void **state, const char *call, int times, int after,
                                       const char *more)
{
    struct responder *responder = *state;
    start_refused(responder, call, EPERM, times, after, more);
    await_workers(responder, more && strstr(more, "WAITS") ? 2 : 1);
    return responder;
}

static void expect_lines(struct responder *responder, size_t lines, const char *text)
{
    await(lines_in(log_of(responder)) >= lines, "%zu lines are to be logged about %s, not: %s",
          lines, text, printable(log_of(responder)));
    const char *log = log_of(responder);
    if (lines_in(log) != lines || (lines > 0 && !strstr(log, text)))
        fail_msg("%zu lines are to be about %s, not: %s", lines, text, printable(log));
}

static void expect_one_line_about(struct responder *responder, const char *call, int error)
{
    char text[128];
    snprintf(text, sizeof(text), "%s: %s", call, strerror(error));
    expect_lines(responder, 1, text);
}

static void stop_normally(struct responder *responder)
{
    kill(responder->pid, SIGTERM);
    expect_exit(responder, EX_OK);
}

static struct client *ask_for(struct responder *responder, const char *target)
{
    struct client *client = client_open(responder);
    client_ask(client, &(struct request){.target = target});
    return client;
}

static struct client *ask_for_much(struct responder *responder)
{
    char target[64];
    snprintf(target, sizeof(target), "/health?size=%d", BODY);
    return ask_for(responder, target);
}

static void let_pass(int64_t ms)
{
    const int64_t until = now_ms() + ms;
    await(now_ms() > until, "time is to go by");
}

/* --- What is tried again -------------------------------------------------------------------- */

static void a_refused_accept4_is_tried_again_and_logged_once(void **state)
{
    static const int errors[] = {EPERM, ENOSYS, ENFILE, EMFILE, ENOBUFS, EPROTO};
    struct responder *responder = *state;
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        start_refused(responder, "accept4", errors[i], 3, 0, NULL);
        await_workers(responder, 1);
        struct client *client = client_open(responder);
        expect_greeting(client, &kept);
        expect_one_line_about(responder, "accept4", errors[i]);
        client_close(client);
        stop_normally(responder);
    }
}

/* Those that are accepted before it is known are closed. */
static void a_connection_that_cannot_be_waited_for_is_closed_and_the_next_tried_again(void **state)
{
    enum { START = 2 }; /* calls: for signals, for the listening socket */
    struct responder *responder = serve_refused(state, "EPOLL_CTL_ADD", 3, START, NULL);
    expect_closed(client_open(responder));
    expect_greeting(client_open(responder), &kept);
    expect_one_line_about(responder, "epoll_ctl", EPERM);
    stop_normally(responder);
}

static void a_refused_recvmsg_is_tried_again_and_logged_once(void **state)
{
    struct responder *responder = serve_refused(state, "recvmsg", 3, 0, "WAITS=1");
    expect_answer(ask_for(responder, "/wait/sleep?1"), 404, NULL);
    expect_one_line_about(responder, "recvmsg", EPERM);
    stop_normally(responder);
}

static void a_refused_fork_is_tried_again_and_logged_once(void **state)
{
    struct responder *responder = *state;
    start_refused(responder, "fork", EAGAIN, 2, 0, NULL);
    expect_greeting(client_open(responder), &unkept);
    expect_one_line_about(responder, "fork", EAGAIN);
    stop_normally(responder);
}

/* The worker, whose first calls wake the parent from its sleep; and the parent, whose first calls
 * end the worker. */
static void a_refused_kill_is_tried_again_and_logged_once(void **state)
{
    struct responder *responder = serve_refused(state, "kill", 3, 0, NULL);
    let_pass(5 * SHORT_MS); /* the parent sleeps */
    for (int i = 0; i < 3; i++)
        expect_greeting(client_open(responder), &unkept);
    const pid_t hung = responder->worker[0];
    struct client *client = ask_for(responder, "/fault/spin");
    await_replacement(responder, hung);
    expect_closed(client);
    expect_lines(responder, 2, "hangs; trying again every");
    expect_greeting(client_open(responder), &unkept);
    stop_normally(responder);
}

/* --- What is refused for ever, and tried again for ever ------------------------------------- */

static void expect_patience(struct responder *responder, const char *call, struct client *client)
{
    expect_one_line_about(responder, call, EPERM);
    expect_silence(client, 2 * SHORT_MS);
    expect_one_line_about(responder, call, EPERM);
    stop_normally(responder);
}

static void an_accept4_that_is_always_refused_is_not_tried_all_the_time(void **state)
{
    struct responder *responder = serve_refused(state, "accept4", 0, 0, NULL);
    expect_patience(responder, "accept4", ask_for(responder, "/"));
}

static void an_epoll_ctl_that_is_always_refused_is_not_tried_all_the_time(void **state)
{
    struct responder *responder = serve_refused(state, "EPOLL_CTL_ADD", 0, 2, NULL);
    expect_closed(client_open(responder));
    expect_patience(responder, "epoll_ctl", ask_for(responder, "/"));
}

static void a_recvmsg_that_is_always_refused_is_not_tried_all_the_time(void **state)
{
    struct responder *responder = serve_refused(state, "recvmsg", 0, 0, "WAITS=1");
    expect_patience(responder, "recvmsg", ask_for(responder, "/wait/sleep?1"));
}

static void a_fork_that_is_always_refused_is_logged_once(void **state)
{
    struct responder *responder = *state;
    start_refused(responder, "fork", EAGAIN, 0, 0, NULL);
    expect_one_line_about(responder, "fork", EAGAIN);
    let_pass(2500); /* two more tries */
    expect_one_line_about(responder, "fork", EAGAIN);
    stop_normally(responder);
}

/* --- What costs a connection ---------------------------------------------------------------- */

/* A part of the answer has left, so that there can be no other one. */
static void expect_cut(struct responder *responder)
{
    const int64_t began_ms = now_ms();
    struct client *client = ask_for_much(responder);
    await_end(client);
    assert_in_range(now_ms() - began_ms, 0, SEND_MS - 1);
    assert_false(client_has_answer(client));
    expect_greeting(client_open(responder), &kept);
    expect_lines(responder, 0, "");
    expect_unharmed(responder);
}

static void an_answer_for_which_there_is_no_memory_to_wait_is_cut(void **state)
{
    expect_cut(serve_refused(state, "malloc", 0, 0, "BUFFER=4096"));
}

static void an_answer_that_cannot_be_waited_for_is_cut(void **state)
{
    expect_cut(serve_refused(state, "EPOLL_CTL_MOD", 0, 0, "BUFFER=4096"));
}

/* --- What a process cannot do without ------------------------------------------------------- */

static void what_is_refused_at_the_start_is_named(void **state)
{
    static const char *const calls[] = {"memfd_create", "signalfd", "epoll_create1"};
    struct responder *responder = *state;
    for (size_t i = 0; i < 2 * sizeof(calls) / sizeof(calls[0]); i++) {
        const int64_t began_ms = now_ms();
        start_refused(responder, calls[i / 2], refusals[i % 2], 0, 0, NULL);
        expect_exit(responder, EX_OSERR);
        assert_in_range(now_ms() - began_ms, 0, 2000);
        expect_one_line_about(responder, calls[i / 2], refusals[i % 2]);
    }
}

static void what_the_first_workers_cannot_do_without_ends_the_service(void **state)
{
    struct responder *responder = *state;
    start_refused(responder, "epoll_wait", EPERM, 0, 0, NULL);
    expect_exit(responder, EX_OSERR);
    expect_one_line_about(responder, "cannot serve: epoll_wait", EPERM);
}

/* A worker that has served is replaced, and so is the one behind it. */
static void a_worker_that_can_wait_no_longer_is_replaced(void **state)
{
    struct responder *responder = serve_refused(state, "epoll_wait", 0, 2, NULL);
    for (size_t i = 1; i < 4; i++) {
        const pid_t worker = responder->worker[0];
        let_pass(SHORT_MS); /* none that died as soon as it was started */
        expect_greeting(client_open(responder), &unkept);
        await_replacement(responder, worker);
        expect_lines(responder, i, "could not go on: epoll_wait: Operation not permitted, and is");
    }
    stop_normally(responder);
}

/* In a time that supervisord takes for a start that failed: the parent wakes for each of them. */
static void workers_that_can_never_wait_are_given_up(void **state)
{
    struct responder *responder = serve_refused(state, "epoll_wait", 0, 1, NULL);
    let_pass(5 * SHORT_MS); /* the parent sleeps */
    const int64_t began_ms = now_ms();
    for (int i = 0; i < 7; i++)
        (void)client_open(responder);
    expect_exit(responder, EX_SOFTWARE);
    assert_in_range(now_ms() - began_ms, 0, STARTED_MS - 1);
}

static void a_worker_that_cannot_read_its_signal_is_replaced(void **state)
{
    struct responder *responder = serve_refused(state, "read", 0, 0, NULL);
    const pid_t worker = responder->worker[0];
    let_pass(SHORT_MS);
    kill(worker, SIGTERM);
    await_replacement(responder, worker);
    expect_lines(responder, 1, "could not go on: read: Operation not permitted, and is replaced");
    stop_normally(responder);
    expect_lines(responder, 1, "read");
}

/* Each place is taken by a request that is under way, so that it wants to accept no longer. */
static void a_worker_that_cannot_stop_accepting_is_replaced(void **state)
{
    struct responder *responder = *state;
    responder->descriptors_max = DESCRIPTORS_SHORT;
    serve_refused(state, "EPOLL_CTL_DEL", 0, 0, NULL);
    const pid_t worker = responder->worker[0];
    let_pass(SHORT_MS);
    for (unsigned i = responder->idle_descriptors; i < DESCRIPTORS_SHORT; i++)
        (void)client_open(responder);
    await_replacement(responder, worker);
    expect_lines(responder, 2, "could not go on: epoll_ctl: Operation not permitted, and is");
    stop_normally(responder);
}

static void a_worker_that_cannot_hand_over_a_connection_is_replaced(void **state)
{
    struct responder *responder = serve_refused(state, "EPOLL_CTL_DEL", 0, 0, "WAITS=1");
    const pid_t worker = responder->worker[0];
    let_pass(SHORT_MS);
    struct client *client = ask_for(responder, "/wait/sleep?1");
    await_replacement(responder, worker);
    expect_answer(client, 404, NULL);
    expect_lines(responder, 1, "could not go on: epoll_ctl: Operation not permitted, and is");
    stop_normally(responder);
}

/* It leaves its workers, which then finish what they have in hand. */
static void expect_parents_end(struct responder *responder, const char *call)
{
    const pid_t worker = responder->worker[0];
    expect_exit(responder, EX_OSERR);
    expect_one_line_about(responder, call, EPERM);
    await_end_of(worker);
}

static void a_parent_that_cannot_wait_for_signals_ends(void **state)
{
    struct responder *responder = serve_refused(state, "sigtimedwait", 0, 1, NULL);
    kill(responder->pid, SIGUSR2);
    expect_parents_end(responder, "cannot serve: sigtimedwait");
}

static void a_parent_that_cannot_look_at_dead_workers_ends(void **state)
{
    struct responder *responder = serve_refused(state, "wait4", 0, 0, NULL);
    kill(responder->worker[0], SIGKILL);
    expect_parents_end(responder, "cannot serve: wait4");
}

static void a_parent_that_is_stopping_ends_as_well(void **state)
{
    static const char *const calls[] = {"sigtimedwait", "wait4"};
    for (size_t i = 0; i < 2; i++) {
        struct responder *responder = serve_refused(state, calls[i], 0, i == 0, NULL);
        struct client *client = client_open(responder); /* for which the worker waits */
        kill(responder->pid, SIGTERM);
        expect_parents_end(responder, calls[i]);
        client_close(client);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_wire(a_refused_accept4_is_tried_again_and_logged_once),
        cmocka_unit_test_wire(
            a_connection_that_cannot_be_waited_for_is_closed_and_the_next_tried_again),
        cmocka_unit_test_wire(a_refused_recvmsg_is_tried_again_and_logged_once),
        cmocka_unit_test_wire(a_refused_fork_is_tried_again_and_logged_once),
        cmocka_unit_test_wire(a_refused_kill_is_tried_again_and_logged_once),
        cmocka_unit_test_wire(an_accept4_that_is_always_refused_is_not_tried_all_the_time),
        cmocka_unit_test_wire(an_epoll_ctl_that_is_always_refused_is_not_tried_all_the_time),
        cmocka_unit_test_wire(a_recvmsg_that_is_always_refused_is_not_tried_all_the_time),
        cmocka_unit_test_wire(a_fork_that_is_always_refused_is_logged_once),
        cmocka_unit_test_wire(an_answer_for_which_there_is_no_memory_to_wait_is_cut),
        cmocka_unit_test_wire(an_answer_that_cannot_be_waited_for_is_cut),
        cmocka_unit_test_wire(what_is_refused_at_the_start_is_named),
        cmocka_unit_test_wire(what_the_first_workers_cannot_do_without_ends_the_service),
        cmocka_unit_test_wire(a_worker_that_can_wait_no_longer_is_replaced),
        cmocka_unit_test_wire(workers_that_can_never_wait_are_given_up),
        cmocka_unit_test_wire(a_worker_that_cannot_read_its_signal_is_replaced),
        cmocka_unit_test_wire(a_worker_that_cannot_stop_accepting_is_replaced),
        cmocka_unit_test_wire(a_worker_that_cannot_hand_over_a_connection_is_replaced),
        cmocka_unit_test_wire(a_parent_that_cannot_wait_for_signals_ends),
        cmocka_unit_test_wire(a_parent_that_cannot_look_at_dead_workers_ends),
        cmocka_unit_test_wire(a_parent_that_is_stopping_ends_as_well),
    };
    use_faulty_responder();
    return cmocka_run_group_tests_name("refusals", tests, NULL, NULL);
}
