/* What the workers and their parent have given up. */
#include "client.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <unistd.h>

#ifdef __SANITIZE_ADDRESS__
static const bool sanitized = true;
#else
static const bool sanitized = false;
#endif

static struct responder *serve_by(void **state, const char *path, const char *sandbox)
{
    struct responder *responder = *state;
    if (sanitized || geteuid() != 0) /* others may not look into a process that is not dumpable */
        skip();
    setenv("RESPONDER", path, 1);
    start(responder, WORDS("WORKERS=2", "LOG_LEVEL=warning", sandbox));
    await_workers(responder, 2);
    return responder;
}

static void stop_normally(struct responder *responder)
{
    assert_int_equal(0, kill(responder->pid, SIGTERM));
    expect_exit(responder, EX_OK);
}

static void expect_refused(void **state, const char *call)
{
    struct responder *responder = serve_by(state, faulty_program(), "SANDBOX=on");
    char target[64], said[192];
    struct client *client = client_open(responder);
    snprintf(target, sizeof(target), "/fault/%s", call);
    snprintf(said, sizeof(said),
             "made the system call %s, which the sandbox refuses, and is "
             "replaced; it had GET %s in hand",
             call, target);
    client_ask(client, &(struct request){.target = target});
    expect_closed(client);
    await(strstr(log_of(responder), said), "\"%s\" is to be said, not: %s", said,
          printable(log_of(responder)));
    expect_greeting(client_open(responder), &unkept);
    stop_normally(responder);
    assert_int_equal(1, lines_in(log_of(responder)));
}

static void a_worker_does_not_run_programs(void **state)
{
    expect_refused(state, "execve");
}

static void a_worker_does_not_fork(void **state)
{
    expect_refused(state, "clone");
}

static void a_worker_opens_no_file(void **state)
{
    expect_refused(state, "openat");
}

static void a_worker_makes_no_connection(void **state)
{
    expect_refused(state, "socket");
}

static void a_worker_looks_into_no_other_process(void **state)
{
    expect_refused(state, "ptrace");
}

static void a_worker_does_not_signal_others(void **state)
{
    expect_refused(state, "kill");
}

static void a_worker_makes_no_code(void **state)
{
    expect_refused(state, "mmap");
}

static void a_worker_makes_nothing_code(void **state)
{
    expect_refused(state, "mprotect");
}

static void a_worker_gets_no_more_memory_than_it_can_need(void **state)
{
    struct responder *responder = serve_by(state, faulty_program(), "SANDBOX=on");
    struct client *client = client_open(responder);
    client_ask(client, &(struct request){.target = "/fault/memory"});
    expect_answer(client, 404, NULL);
    stop_normally(responder);
    expect_empty_log(responder);
}

/* abort() still ends a worker by SIGABRT, by which the log tells it from what it must not do. */
static void a_worker_may_abort(void **state)
{
    struct responder *responder = serve_by(state, faulty_program(), "SANDBOX=on");
    struct client *client = client_open(responder);
    client_ask(client, &(struct request){.target = "/fault/abort"});
    expect_closed(client);
    await(strstr(log_of(responder), "was killed by signal 6 "), "SIGABRT is to be said, not: %s",
          printable(log_of(responder)));
    stop_normally(responder);
}

/* What /proc/PID/status has behind a name. */
static int status_of(pid_t pid, const char *name)
{
    char path[64], line[128], format[64];
    int value = -1;
    snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    snprintf(format, sizeof(format), "%s: %%d", name);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    while (value < 0 && fgets(line, sizeof(line), file))
        sscanf(line, format, &value);
    fclose(file);
    return value;
}

static rlim_t core_limit_of(pid_t pid)
{
    struct rlimit limit;
    assert_int_equal(0, prlimit(pid, RLIMIT_CORE, NULL, &limit));
    return limit.rlim_max;
}

static void expect_sealed(pid_t pid)
{
    enum { FILTERED = 2 };
    assert_int_equal(FILTERED, status_of(pid, "Seccomp"));
    assert_int_equal(1, status_of(pid, "NoNewPrivs"));
    assert_int_equal(0, core_limit_of(pid));
}

static void workers_and_parent_are_in_it_by_default(void **state)
{
    struct responder *responder = serve_by(state, program(), "SHELL=/none");
    expect_greeting(client_open(responder), &unkept);
    expect_sealed(responder->pid);
    for (unsigned i = 0; i < responder->workers; i++) {
        await(status_of(responder->worker[i], "Seccomp_filters") == 2, "a worker's own filter");
        expect_sealed(responder->worker[i]);
    }
    expect_unharmed(responder);
}

static void SANDBOX_off_leaves_all_as_it_is(void **state)
{
    struct responder *responder = serve_by(state, program(), "SANDBOX=off");
    expect_greeting(client_open(responder), &unkept);
    assert_int_equal(0, status_of(responder->pid, "Seccomp"));
    assert_int_equal(0, status_of(responder->worker[0], "Seccomp"));
    assert_int_equal(0, status_of(responder->worker[0], "NoNewPrivs"));
    expect_unharmed(responder);
}

static void expect_service_without(void **state, int error)
{
    struct responder *responder = *state;
    responder->seccomp_error = error;
    serve_by(state, program(), "SANDBOX=on");
    expect_greeting(client_open(responder), &unkept);
    stop_normally(responder);
    if (!strstr(log_of(responder), "there is no sandbox here") || lines_in(log_of(responder)) != 1)
        fail_msg("expected one line about the sandbox, got: %s", printable(log_of(responder)));
}

static void a_kernel_that_refuses_it_costs_one_line(void **state)
{
    expect_service_without(state, EPERM);
}

static void a_kernel_that_does_not_know_it_costs_one_line(void **state)
{
    expect_service_without(state, ENOSYS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_wire(a_worker_does_not_run_programs),
        cmocka_unit_test_wire(a_worker_does_not_fork),
        cmocka_unit_test_wire(a_worker_opens_no_file),
        cmocka_unit_test_wire(a_worker_makes_no_connection),
        cmocka_unit_test_wire(a_worker_looks_into_no_other_process),
        cmocka_unit_test_wire(a_worker_does_not_signal_others),
        cmocka_unit_test_wire(a_worker_makes_no_code),
        cmocka_unit_test_wire(a_worker_makes_nothing_code),
        cmocka_unit_test_wire(a_worker_gets_no_more_memory_than_it_can_need),
        cmocka_unit_test_wire(a_worker_may_abort),
        cmocka_unit_test_wire(workers_and_parent_are_in_it_by_default),
        cmocka_unit_test_wire(SANDBOX_off_leaves_all_as_it_is),
        cmocka_unit_test_wire(a_kernel_that_refuses_it_costs_one_line),
        cmocka_unit_test_wire(a_kernel_that_does_not_know_it_costs_one_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
