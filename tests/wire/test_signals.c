/* How the service stops, and how it survives its workers. */
#include "client.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <time.h>

enum {
    AT_ONCE_MS = 900, /* less than the 1 s that a worker gives to what is under way */
    QUEUED = 8,
    IDLE = 20,
    LARGE = 100 * 1000 /* a body of a request that a worker cannot read at once */
};

static const struct request readiness = {.target = "/ready"};

static void tell(const struct responder *responder, int signal)
{
    assert_int_equal(0, kill(responder->pid, signal));
}

/* Whether SIGTERM is in one of a process's sets: "ShdPnd:", "SigBlk:", "SigCgt:". */
static bool has_SIGTERM(const char *set, pid_t pid)
{
    char path[64];
    char line[256];
    unsigned long long signals = 0;
    snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    while (fgets(line, sizeof(line), file))
        if (strncmp(line, set, strlen(set)) == 0)
            signals = strtoull(line + strlen(set), NULL, 16);
    fclose(file);
    return signals & 1ULL << (SIGTERM - 1);
}

static void expect_exit_within(struct responder *responder, int64_t began_ms, int64_t limit_ms)
{
    expect_exit(responder, EX_OK);
    const int64_t took = now_ms() - began_ms;
    if (took > limit_ms)
        fail_msg("the service took %d ms to stop, %d were expected at the most", (int)took,
                 (int)limit_ms);
    expect_empty_log(responder);
}

static struct client *open_idle(struct responder *responder)
{
    struct client *client = client_open(responder);
    expect_greeting(client, &kept);
    return client;
}

static struct client *open_half_sent(struct responder *responder)
{
    struct client *client = client_open(responder);
    const struct bytes *bytes = request_bytes(&kept);
    client_send_until(client, bytes, bytes->length / 2);
    return client;
}

/* An idle connection is closed as soon as its worker stops: so that is when it has begun to. */
static void stop_and_see(struct responder *responder, struct client *idle, int signal)
{
    tell(responder, signal);
    expect_closed(idle);
}

/* --- The service is told to stop ------------------------------------------------------------ */

static void expect_idle_stop(void **state, int signal)
{
    struct responder *responder = serve(state, 2);
    struct client *idle[IDLE];
    for (int i = 0; i < IDLE; i++)
        idle[i] = open_idle(responder);
    const int64_t began_ms = now_ms();
    tell(responder, signal);
    for (int i = 0; i < IDLE; i++)
        expect_closed(idle[i]);
    expect_exit_within(responder, began_ms, AT_ONCE_MS);
}

static void SIGTERM_closes_idle_connections_and_stops_at_once(void **state)
{
    expect_idle_stop(state, SIGTERM);
}

static void SIGINT_closes_idle_connections_and_stops_at_once(void **state)
{
    expect_idle_stop(state, SIGINT);
}

static void SIGQUIT_closes_idle_connections_and_stops_at_once(void **state)
{
    expect_idle_stop(state, SIGQUIT);
}

static void SIGTERM_stops_a_service_that_nobody_has_called(void **state)
{
    struct responder *responder = serve(state, 2);
    const int64_t began_ms = now_ms();
    tell(responder, SIGTERM);
    expect_exit_within(responder, began_ms, AT_ONCE_MS);
}

/* How long it takes until the workers wait for connections. */
static int64_t start_up_us(void **state)
{
    struct timespec began, now;
    clock_gettime(CLOCK_MONOTONIC, &began);
    struct responder *responder = serve(state, 2);
    clock_gettime(CLOCK_MONOTONIC, &now);
    tell(responder, SIGTERM);
    expect_exit(responder, EX_OK);
    return (now.tv_sec - began.tv_sec) * 1000000 + (now.tv_nsec - began.tv_nsec) / 1000;
}

/* The signal itself ends it as long as it has not blocked it. */
static void SIGTERM_at_any_moment_of_the_start_leaves_no_worker(void **state)
{
    enum { MOMENTS = 30 };
    struct responder *responder = *state;
    const int64_t step_us = start_up_us(state) / MOMENTS + 1;
    for (int64_t i = 0; i < MOMENTS; i++) {
        start(responder, WORDS("WORKERS=2", "LOG_LEVEL=error"));
        nanosleep(&(struct timespec){.tv_nsec = i * step_us % 1000000 * 1000}, NULL);
        tell(responder, SIGTERM);
        const int status = await_exit(responder);
        if (status != EX_OK && status != 128 + SIGTERM)
            fail_msg("exit status %d; log: %s", status, printable(log_of(responder)));
        await(waitpid(-1, NULL, WNOHANG) < 0, "no worker is to outlive the service");
        expect_empty_log(responder);
    }
}

/* From one system call to the next, as long as SIGTERM would just end it. */
static void trace_until_SIGTERM_is_taken(struct responder *responder)
{
    const pid_t pid = responder->pid;
    int status = 0;
    do {
        await(waitpid(pid, &status, WNOHANG) == pid, "the responder is to make a system call");
        if (!WIFSTOPPED(status))
            fail_msg("the responder ended with wait status %d before it served", status);
    } while (!has_SIGTERM("SigCgt:", pid) && !has_SIGTERM("SigBlk:", pid) &&
             ptrace(PTRACE_SYSCALL, pid, NULL, NULL) == 0);
}

/* libfcgi installs a handler, which forgets the signal where nobody waits in its accept. */
static void SIGTERM_is_not_lost_while_the_service_starts(void **state)
{
    struct responder *responder = *state;
    responder->traced = true;
    start(responder, WORDS("WORKERS=2", "LOG_LEVEL=error"));
    trace_until_SIGTERM_is_taken(responder);
    tell(responder, SIGTERM);
    ptrace(PTRACE_DETACH, responder->pid, NULL, NULL);
    expect_quiet_exit(responder);
}

/* Every cut of a request: nothing of it sent yet, half of a header, the middle of the parameters,
 * of the body ... on new connections and on kept ones. */
static void expect_cut_requests_finished(void **state, int signal, int times)
{
    enum { CUTS_MOST = 200 };
    struct responder *responder = serve(state, 1);
    const struct bytes *bytes = request_bytes(&(struct request){.keep = true, .body = 8});
    struct client *cut[CUTS_MOST];
    assert_in_range(bytes->length, 1, CUTS_MOST);
    for (size_t i = 0; i < bytes->length; i++) {
        cut[i] = i % 2 ? open_idle(responder) : client_open(responder);
        client_send_until(cut[i], bytes, i);
    }
    struct client *idle = open_idle(responder);
    stop_and_see(responder, idle, signal);
    while (--times > 0)
        tell(responder, signal);
    for (size_t i = 0; i < bytes->length; i++)
        client_send_from(cut[i], bytes, i);
    for (size_t i = 0; i < bytes->length; i++) {
        expect_answer(cut[i], 200, "Hello World\n");
        expect_closed(cut[i]);
    }
    expect_quiet_exit(responder);
}

static void requests_under_way_are_answered_after_SIGTERM_wherever_it_cuts_them(void **state)
{
    expect_cut_requests_finished(state, SIGTERM, 1);
}

static void requests_under_way_are_answered_after_SIGINT_wherever_it_cuts_them(void **state)
{
    expect_cut_requests_finished(state, SIGINT, 1);
}

static void a_second_SIGTERM_changes_nothing(void **state)
{
    expect_cut_requests_finished(state, SIGTERM, 3);
}

/* libfcgi's read would fail with EINTR, and its caller would see a short body. */
static void a_large_body_that_SIGTERM_cuts_is_read_to_its_end(void **state)
{
    struct responder *responder = serve(state, 1);
    const struct bytes *bytes = request_bytes(&(struct request){.keep = true, .body = LARGE});
    struct client *client = client_open(responder);
    const size_t half = bytes->length / 5 * 4;
    client_send_until(client, bytes, half);
    await_read(client);
    tell(responder, SIGTERM);
    kill(responder->worker[0], SIGTERM);
    expect_silence(client, 50);
    client_send_from(client, bytes, half);
    expect_answer(client, 200, "Hello World\n");
    expect_quiet_exit(responder);
}

static void a_stopping_service_is_not_ready(void **state)
{
    struct responder *responder = serve(state, 1);
    struct client *idle = open_idle(responder);
    struct client *client = client_open(responder);
    struct client *late = client_open(responder);
    client_ask(client, &readiness);
    expect_answer(client, 200, "ready\n");
    stop_and_see(responder, idle, SIGTERM);
    client_ask(late, &readiness);
    expect_answer(late, 503, NULL);
    expect_quiet_exit(responder);
}

/* SIGUSR1 is sent some time before the stop, so that load balancers see it coming. */
static void SIGUSR1_makes_the_service_unready_and_changes_nothing_else(void **state)
{
    struct responder *responder = serve(state, 2);
    struct client *idle[] = {open_to(responder, 0), open_to(responder, 1)};
    for (int i = 0; i < 3; i++) {
        tell(responder, SIGUSR1);
        await((client_ask(idle[0], &(struct request){.target = "/ready", .keep = true}),
               expect_answer(idle[0], ANY_STATUS, NULL), idle[0]->answer.status == 503),
              "the service is to be unready");
        client_ask(idle[1], &(struct request){.target = "/ready", .keep = true});
        expect_answer(idle[1], 503, NULL);
        expect_greeting(idle[1], &kept);
        expect_greeting(client_open(responder), &unkept);
    }
    expect_unharmed(responder);
}

static void stop_frozen(struct responder *responder)
{
    tell(responder, SIGTERM);
    for (unsigned i = 0; i < responder->workers; i++)
        await(has_SIGTERM("ShdPnd:", responder->worker[i]), "the parent is to tell its workers");
    for (unsigned i = 0; i < responder->workers; i++)
        thaw(responder->worker[i]);
}

/* Lets requests queue, as they do when all workers are busy, and stops the service meanwhile. The
 * first is on a connection that a worker has already, and which it sees before the signal. */
static void what_waits_in_the_backlog_is_answered_after_SIGTERM(void **state)
{
    struct responder *responder = serve(state, 2);
    struct client *queued[QUEUED], *ready[] = {open_idle(responder), NULL};
    for (unsigned i = 0; i < responder->workers; i++)
        freeze(responder->worker[i]);
    client_ask(ready[0], &readiness);
    for (int i = 0; i < QUEUED; i++) {
        queued[i] = client_open(responder);
        client_ask(queued[i], i % 2 ? &kept : &unkept);
    }
    client_ask(ready[1] = client_open(responder), &readiness);
    stop_frozen(responder);
    for (int i = 0; i < QUEUED; i++)
        expect_answer(queued[i], 200, "Hello World\n");
    for (int i = 0; i < 2; i++)
        expect_answer(ready[i], 503, NULL);
    expect_quiet_exit(responder);
}

/* The worker holds all the connections it may, so that it does not accept when the stop begins. */
static void expect_queue_answered(struct responder *responder, int taken)
{
    struct client *queued[QUEUED];
    for (int i = 0; i < taken; i++)
        open_idle(responder);
    for (int i = 0; i < QUEUED; i++) {
        queued[i] = client_open(responder);
        client_ask(queued[i], &kept);
    }
    tell(responder, SIGTERM);
    for (int i = 0; i < QUEUED; i++)
        expect_answer(queued[i], 200, "Hello World\n");
    expect_quiet_exit(responder);
}

static void what_waits_behind_a_full_worker_is_answered_after_SIGTERM(void **state)
{
    if (!enough_descriptors())
        skip();
    expect_queue_answered(serve(state, 1), CONNECTIONS_MAX);
}

static void what_waits_for_descriptors_is_answered_after_SIGTERM(void **state)
{
    struct responder *responder = *state;
    responder->descriptors_max = DESCRIPTORS_SHORT;
    serve(state, 1);
    expect_queue_answered(responder, DESCRIPTORS_SHORT - STARTED_DESCRIPTORS);
}

static void a_request_that_never_comes_keeps_the_service_for_1_s_at_most(void **state)
{
    struct responder *responder = serve(state, 2);
    struct client *half = open_half_sent(responder);
    struct client *silent = client_open(responder);
    const int64_t began_ms = now_ms();
    tell(responder, SIGTERM);
    expect_closed(half);
    expect_closed(silent);
    expect_exit_within(responder, began_ms, 1000 + AT_ONCE_MS);
}

static void SIGQUIT_stops_at_once_even_with_a_half_sent_request(void **state)
{
    struct responder *responder = serve(state, 2);
    struct client *half = open_half_sent(responder);
    const int64_t began_ms = now_ms();
    tell(responder, SIGQUIT);
    expect_closed(half);
    expect_exit_within(responder, began_ms, AT_ONCE_MS);
}

static void SIGQUIT_ends_the_wait_that_SIGTERM_began(void **state)
{
    struct responder *responder = serve(state, 1);
    struct client *idle = open_idle(responder);
    struct client *half = open_half_sent(responder);
    const int64_t began_ms = now_ms();
    stop_and_see(responder, idle, SIGTERM);
    tell(responder, SIGQUIT);
    expect_closed(half);
    expect_exit_within(responder, began_ms, AT_ONCE_MS);
}

/* Clients that ask again and again while the service stops: of each answer all comes or nothing. */
static void no_answer_is_cut_short_by_SIGTERM(void **state)
{
    struct responder *responder = serve(state, 2);
    struct client *clients[IDLE];
    for (int i = 0; i < IDLE; i++)
        clients[i] = open_idle(responder);
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < IDLE; i++) {
            client_ask(clients[i], &kept);
            if (round == 10 && i == IDLE / 2)
                tell(responder, SIGTERM);
        }
        for (int i = 0; i < IDLE; i++)
            expect_greeting_or_end(clients[i]);
    }
    expect_quiet_exit(responder);
}

static void other_signals_change_nothing(void **state)
{
    static const int signals[] = {SIGHUP, SIGUSR2, SIGPIPE, SIGALRM, SIGWINCH};
    struct responder *responder = serve(state, 1);
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        tell(responder, signals[i]);
        kill(responder->worker[0], signals[i]);
        expect_greeting(client_open(responder), &unkept);
    }
    expect_unharmed(responder);
}

/* --- Workers die ---------------------------------------------------------------------------- */

/* One line, of that severity and with that message. */
static void expect_log(struct responder *responder, const char *severity, const char *message)
{
    char start[64], end[256];
    const char *log = log_of(responder);
    snprintf(start, sizeof(start), "{\"severity\":\"%s\",", severity);
    snprintf(end, sizeof(end), ",\"message\":\"%s\"}\n", message);
    const size_t length = strlen(log);
    if (strncmp(log, start, strlen(start)) != 0 || length < strlen(end) ||
        strcmp(log + length - strlen(end), end) != 0 || lines_in(log) != 1)
        fail_msg("expected log: %s ... %sgot: %s", start, end, printable(log));
}

/* Stops the service, in which a worker has died. */
static void expect_death_logged(struct responder *responder, pid_t worker, const char *how)
{
    char expected[128];
    snprintf(expected, sizeof(expected), "worker %d %s and is replaced", (int)worker, how);
    tell(responder, SIGTERM);
    expect_exit(responder, EX_OK);
    expect_log(responder, "WARNING", expected);
}

static void a_killed_worker_is_replaced_and_the_other_ones_connections_are_unharmed(void **state)
{
    struct responder *responder = serve_and_log(state, 2, "warning");
    const pid_t victim = responder->worker[0];
    struct client *lost = open_to(responder, 0);
    struct client *unharmed = open_to(responder, 1);
    const int64_t began_ms = now_ms();
    kill(victim, SIGKILL);
    expect_closed(lost);
    await_replacement(responder, victim);
    assert_in_range(now_ms() - began_ms, 0, 1000);
    expect_greeting(unharmed, &kept);
    expect_greeting(open_to(responder, 0), &kept);
    expect_greeting(open_to(responder, 1), &kept);
    expect_death_logged(responder, victim, "was killed by signal 9");
}

static void a_killed_worker_loses_no_request_that_waits_in_the_backlog(void **state)
{
    struct responder *responder = serve_and_log(state, 1, "warning");
    const pid_t victim = responder->worker[0];
    struct client *queued[QUEUED];
    freeze(victim);
    for (int i = 0; i < QUEUED; i++) {
        queued[i] = client_open(responder);
        client_ask(queued[i], &kept);
    }
    kill(victim, SIGKILL);
    for (int i = 0; i < QUEUED; i++)
        expect_answer(queued[i], 200, "Hello World\n");
    await_replacement(responder, victim);
    expect_death_logged(responder, victim, "was killed by signal 9");
}

static void a_worker_that_gets_SIGTERM_finishes_its_requests_and_is_replaced(void **state)
{
    struct responder *responder = serve_and_log(state, 1, "warning");
    const pid_t worker = responder->worker[0];
    const struct bytes *bytes = request_bytes(&kept);
    struct client *idle = open_idle(responder);
    struct client *half = open_half_sent(responder);
    kill(worker, SIGTERM);
    await(!has_SIGTERM("ShdPnd:", worker), "the signal is to be taken");
    expect_greeting(idle, &kept); /* nginx may use it as long as it is open */
    expect_closed(idle);
    client_send_from(half, bytes, bytes->length / 2);
    expect_answer(half, 200, "Hello World\n");
    expect_closed(half);
    await_replacement(responder, worker);
    client_ask(idle = client_open(responder), &readiness);
    expect_answer(idle, 200, "ready\n");
    expect_death_logged(responder, worker, "exited with status 0");
}

static void the_workers_of_a_killed_parent_finish_and_exit(void **state)
{
    struct responder *responder = serve(state, 2);
    const struct bytes *bytes = request_bytes(&readiness);
    struct client *idle[] = {open_to(responder, 0), open_to(responder, 1)};
    struct client *half = client_open(responder);
    client_send_until(half, bytes, 30);
    tell(responder, SIGKILL);
    expect_exit(responder, 128 + SIGKILL);
    for (unsigned i = 0; i < responder->workers; i++)
        await(!has_SIGTERM("ShdPnd:", responder->worker[i]), "the signal is to be taken");
    client_send_from(half, bytes, 30);
    expect_answer(half, 503, NULL);
    for (int i = 0; i < 2; i++)
        expect_closed(idle[i]);
    for (unsigned i = 0; i < responder->workers; i++)
        await_end_of(responder->worker[i]);
    expect_empty_log(responder);
}

static void a_worker_that_does_not_stop_is_killed(void **state)
{
    struct responder *responder = serve(state, 2);
    freeze(responder->worker[1]);
    tell(responder, SIGTERM);
    expect_exit(responder, EX_OK);
    await_end_of(responder->worker[1]);
    expect_log(responder, "ERROR", "workers did not stop within 2500 ms and are killed");
}

static void a_service_whose_workers_die_now_and_then_goes_on(void **state)
{
    enum { DEATHS = 8, SETTLED_MS = 120 /* a worker that dies younger failed to start */ };
    struct responder *responder = serve_and_log(state, 1, "warning");
    for (int i = 0; i < DEATHS; i++) {
        const pid_t victim = responder->worker[0];
        const int64_t started_ms = now_ms();
        await(now_ms() > started_ms + SETTLED_MS, "time is to go by");
        kill(victim, SIGKILL);
        await_replacement(responder, victim);
    }
    expect_greeting(client_open(responder), &unkept);
    tell(responder, SIGTERM);
    expect_exit(responder, EX_OK);
    assert_int_equal(DEATHS, lines_in(log_of(responder)));
}

/* --- How many workers, and what is logged --------------------------------------------------- */

static void WORKERS_is_the_number_of_workers(void **state)
{
    expect_unharmed(serve(state, 3));
}

static void one_CPU_gets_two_workers_by_default(void **state)
{
    struct responder *responder = *state;
    cpu_set_t all, one;
    assert_int_equal(0, sched_getaffinity(0, sizeof(all), &all));
    CPU_ZERO(&one);
    for (size_t i = 0; CPU_COUNT(&one) == 0; i++)
        if (CPU_ISSET(i, &all))
            CPU_SET(i, &one);
    assert_int_equal(0, sched_setaffinity(0, sizeof(one), &one));
    start(responder, WORDS("LOG_LEVEL=error"));
    assert_int_equal(0, sched_setaffinity(0, sizeof(all), &all));
    await_workers(responder, 2);
    expect_unharmed(responder);
}

/* Behind a JSON string, whose opening quote precedes cursor; NULL when it is none. */
static const char *skip_string(const char *cursor)
{
    for (; *cursor != '"'; cursor++) {
        if ((unsigned char)*cursor < 0x20)
            return NULL;
        if (*cursor == '\\' && !strchr("\"\\/bfnrtu", *++cursor))
            return NULL;
    }
    return cursor + 1;
}

/* {"severity":"...", ... ,"message":"..."} with strings, numbers and truth values. */
static bool is_log_line(const char *line)
{
    static const char before[] = "{\"severity\":";
    bool message = false;
    if (strncmp(line, before, strlen(before)) != 0)
        return false;
    while (*line == '{' || *line == ',') {
        message = strncmp(line + 1, "\"message\":", 10) == 0;
        if (line[1] != '"' || !(line = skip_string(line + 2)) || *line++ != ':')
            return false;
        line = *line == '"' ? skip_string(line + 1) : line + strspn(line, "truefals0123456789");
        if (!line)
            return false;
    }
    return message && strncmp(line, "}\n", 2) == 0;
}

static void expect_log_lines(struct responder *responder, size_t count)
{
    const char *log = log_of(responder);
    if (lines_in(log) != count)
        fail_msg("expected %zu log lines, got: %s", count, printable(log));
    for (const char *line = log; *line; line = strchr(line, '\n') + 1)
        if (!is_log_line(line))
            fail_msg("expected one JSON object a line, got: %s", printable(line));
}

static struct responder *serve_and_log_requests(void **state)
{
    struct responder *responder = serve_and_log(state, 1, "debug");
    expect_log_lines(responder, 1);
    return responder;
}

static void expect_requests_logged(struct responder *responder, const char *const targets[])
{
    struct client *client = client_open(responder);
    for (size_t lines = lines_in(log_of(responder)); *targets; targets++) {
        client_ask(client, &(struct request){.keep = true, .target = *targets});
        expect_answer(client, ANY_STATUS, NULL);
        expect_log_lines(responder, ++lines);
    }
    tell(responder, SIGTERM);
    expect_exit(responder, EX_OK);
}

static void each_request_is_logged_as_one_JSON_object_on_one_line(void **state)
{
    static const char *const targets[] = {"/",
                                          "/version?format=json",
                                          "/\"quoted\"\\",
                                          "/two\nlines\r\n{\"severity\":\"ERROR\"}",
                                          "/\x01\x7f\t",
                                          "/gr\xc3\xbc\xc3\x9f",
                                          "/malformed\xff\xfe",
                                          NULL};
    expect_requests_logged(serve_and_log_requests(state), targets);
}

static void a_long_target_is_cut_in_the_log(void **state)
{
    static char target[20001], umlauts[2002];
    const char *const targets[] = {target, umlauts, NULL};
    memset(target, '/', sizeof(target) - 1);
    for (size_t i = 0; i < sizeof(umlauts) - 2; i += 2)
        memcpy(umlauts + i, "\xc3\xbc", 2);
    expect_requests_logged(serve_and_log_requests(state), targets);
}

/* Each needs six characters in JSON: more than fits a line. */
static void a_target_of_control_characters_is_logged(void **state)
{
    static char target[2001];
    const char *const targets[] = {target, NULL};
    memset(target, '\x01', sizeof(target) - 1);
    expect_requests_logged(serve_and_log_requests(state), targets);
}

static void a_malformed_target_with_a_control_character_is_logged(void **state)
{
    static const char *const targets[] = {"/\x01\xff", NULL};
    expect_requests_logged(serve_and_log_requests(state), targets);
}

/* Too few descriptors for what a worker has to wait for. The leak checker wants more than that. */
static void run_with_too_few_descriptors(void **state, unsigned descriptors, const char *workers)
{
    struct responder *responder = *state;
    responder->descriptors_max = descriptors;
    start(responder, WORDS(workers, "LOG_LEVEL=warning", "ASAN_OPTIONS=detect_leaks=0"));
    expect_exit(responder, EX_OSERR);
    expect_log_lines(responder, 1);
}

static void what_the_first_workers_are_refused_ends_the_service_with_one_line(void **state)
{
    for (unsigned descriptors = 4; descriptors < STARTED_DESCRIPTORS; descriptors++) {
        run_with_too_few_descriptors(state, descriptors,
                                     descriptors % 2 ? "WORKERS=1" : "WORKERS=8");
        if (!strstr(log_of(*state), "Too many open files"))
            fail_msg("expected the error to be EMFILE's, got: %s", printable(log_of(*state)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_wire(SIGTERM_closes_idle_connections_and_stops_at_once),
        cmocka_unit_test_wire(SIGINT_closes_idle_connections_and_stops_at_once),
        cmocka_unit_test_wire(SIGQUIT_closes_idle_connections_and_stops_at_once),
        cmocka_unit_test_wire(SIGTERM_stops_a_service_that_nobody_has_called),
        cmocka_unit_test_wire(SIGTERM_at_any_moment_of_the_start_leaves_no_worker),
        cmocka_unit_test_wire(SIGTERM_is_not_lost_while_the_service_starts),
        cmocka_unit_test_wire(requests_under_way_are_answered_after_SIGTERM_wherever_it_cuts_them),
        cmocka_unit_test_wire(requests_under_way_are_answered_after_SIGINT_wherever_it_cuts_them),
        cmocka_unit_test_wire(a_second_SIGTERM_changes_nothing),
        cmocka_unit_test_wire(a_large_body_that_SIGTERM_cuts_is_read_to_its_end),
        cmocka_unit_test_wire(a_stopping_service_is_not_ready),
        cmocka_unit_test_wire(SIGUSR1_makes_the_service_unready_and_changes_nothing_else),
        cmocka_unit_test_wire(what_waits_in_the_backlog_is_answered_after_SIGTERM),
        cmocka_unit_test_wire(what_waits_behind_a_full_worker_is_answered_after_SIGTERM),
        cmocka_unit_test_wire(what_waits_for_descriptors_is_answered_after_SIGTERM),
        cmocka_unit_test_wire(a_request_that_never_comes_keeps_the_service_for_1_s_at_most),
        cmocka_unit_test_wire(SIGQUIT_stops_at_once_even_with_a_half_sent_request),
        cmocka_unit_test_wire(SIGQUIT_ends_the_wait_that_SIGTERM_began),
        cmocka_unit_test_wire(no_answer_is_cut_short_by_SIGTERM),
        cmocka_unit_test_wire(other_signals_change_nothing),
        cmocka_unit_test_wire(
            a_killed_worker_is_replaced_and_the_other_ones_connections_are_unharmed),
        cmocka_unit_test_wire(a_killed_worker_loses_no_request_that_waits_in_the_backlog),
        cmocka_unit_test_wire(a_worker_that_gets_SIGTERM_finishes_its_requests_and_is_replaced),
        cmocka_unit_test_wire(the_workers_of_a_killed_parent_finish_and_exit),
        cmocka_unit_test_wire(a_worker_that_does_not_stop_is_killed),
        cmocka_unit_test_wire(a_service_whose_workers_die_now_and_then_goes_on),
        cmocka_unit_test_wire(WORKERS_is_the_number_of_workers),
        cmocka_unit_test_wire(one_CPU_gets_two_workers_by_default),
        cmocka_unit_test_wire(each_request_is_logged_as_one_JSON_object_on_one_line),
        cmocka_unit_test_wire(a_long_target_is_cut_in_the_log),
        cmocka_unit_test_wire(a_target_of_control_characters_is_logged),
        cmocka_unit_test_wire(a_malformed_target_with_a_control_character_is_logged),
        cmocka_unit_test_wire(what_the_first_workers_are_refused_ends_the_service_with_one_line),
    };
    return cmocka_run_group_tests_name("signals", tests, NULL, NULL);
}
