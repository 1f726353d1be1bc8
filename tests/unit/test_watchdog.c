/* watchdog.h: one process plays the worker and the parent. */
#include "cases.h"

#include "watchdog.h"

#include <string.h>
#include <unistd.h>

static struct shared shared;
static struct watched watched;

static struct activity *const activity = &shared.slots[1].activity;

static int start_anew(void **state)
{
    (void)state;
    memset(&shared, 0, sizeof(shared));
    watched = (struct watched){.looks = 0};
    shared.parent = getpid();
    shared.slots_used = 3;
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, WATCHDOG_SIGNAL);
    return sigprocmask(SIG_BLOCK, &signals, NULL);
}

static bool woken(void)
{
    sigset_t pending;
    int signal;
    sigpending(&pending);
    if (!sigismember(&pending, WATCHDOG_SIGNAL))
        return false;
    sigemptyset(&pending);
    sigaddset(&pending, WATCHDOG_SIGNAL);
    return sigwait(&pending, &signal) == 0;
}

static int look(void)
{
    bool quiet = true;
    return watchdog_look(&watched, activity, &quiet);
}

static bool is_quiet(void)
{
    bool quiet = true;
    (void)!watchdog_look(&watched, activity, &quiet);
    return quiet;
}

TEST(the_first_that_becomes_busy_wakes_a_parent_that_rests)
{
    watchdog_busy(&shared, activity);
    assert_true(woken());
    watchdog_idle(activity);
    watchdog_busy(&shared, activity);
    watchdog_busy(&shared, &shared.slots[2].activity);
    assert_false(woken());
    watchdog_idle(activity);
    watchdog_idle(&shared.slots[2].activity);
    assert_true(watchdog_rest(&shared));
    watchdog_busy(&shared, &shared.slots[2].activity);
    assert_true(woken());
}

TEST(a_parent_does_not_rest_while_a_worker_is_busy)
{
    watchdog_busy(&shared, activity);
    assert_true(woken());
    assert_false(watchdog_rest(&shared));
    watchdog_busy(&shared, activity);
    assert_false(woken());
}

TEST(looks_are_counted_while_a_busy_worker_gets_on_with_nothing)
{
    watchdog_busy(&shared, activity);
    assert_int_equal(0, look());
    for (int i = 1; i < 5; i++)
        assert_int_equal(i, look());
    count(&activity->beat, 1);
    assert_int_equal(0, look());
    assert_int_equal(1, look());
    watchdog_idle(activity);
    assert_int_equal(0, look());
}

TEST(a_worker_that_is_idle_never_hangs_unless_it_is_stopped)
{
    for (int i = 0; i < 5; i++)
        assert_int_equal(0, look());
    watched.stopped = true;
    for (int i = 1; i < 5; i++)
        assert_int_equal(i, look());
    watched.stopped = false;
    assert_int_equal(0, look());
}

TEST(what_was_busy_between_two_looks_is_not_quiet)
{
    assert_true(is_quiet());
    watchdog_busy(&shared, activity);
    watchdog_idle(activity);
    assert_false(is_quiet());
    assert_true(is_quiet());
    watchdog_busy(&shared, activity);
    assert_false(is_quiet());
    assert_false(is_quiet());
    watchdog_idle(activity);
    watched.stopped = true;
    assert_false(is_quiet());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_first_that_becomes_busy_wakes_a_parent_that_rests, start_anew),
        cmocka_unit_test_setup(a_parent_does_not_rest_while_a_worker_is_busy, start_anew),
        cmocka_unit_test_setup(looks_are_counted_while_a_busy_worker_gets_on_with_nothing,
                               start_anew),
        cmocka_unit_test_setup(a_worker_that_is_idle_never_hangs_unless_it_is_stopped, start_anew),
        cmocka_unit_test_setup(what_was_busy_between_two_looks_is_not_quiet, start_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
