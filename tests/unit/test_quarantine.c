/* quarantine.h, on a clock that the tests set. */
#include "cases.h"

#include "quarantine.h"

#include <string.h>
#include <time.h>

enum { SECOND = 1000, MINUTE = 60 * SECOND };

static int64_t time_ms;

int clock_gettime(clockid_t clock, struct timespec *now)
{
    (void)clock;
    *now = (struct timespec){.tv_sec = time_ms / 1000, .tv_nsec = time_ms % 1000 * 1000000};
    return 0;
}

static struct shared shared;

static const struct request fatal = {.method = "GET", .target = "/fatal", .accept = "*/*"};

/* The time is that of a machine that has run for a while. */
static int forget_all(void **state)
{
    (void)state;
    memset(&shared, 0, sizeof(shared));
    time_ms = 1000 * MINUTE;
    return 0;
}

static struct activity *worker(int number)
{
    return &shared.slots[number].activity;
}

static bool admitted(const struct request *request)
{
    return quarantine_admit(&shared, worker(0), request);
}

/* A worker dies of a request. Returns whether it is refused from now on. */
static bool die_of(const struct request *request)
{
    assert_true(admitted(request));
    return quarantine_suspect(&shared, atomic_load(&worker(0)->fingerprint));
}

static void survive(const struct request *request)
{
    assert_true(admitted(request));
    quarantine_release(&shared, worker(0), true);
}

static void refuse(const struct request *request)
{
    assert_false(die_of(request));
    assert_true(die_of(request));
    assert_false(admitted(request));
}

TEST(one_death_is_no_reason_to_refuse)
{
    assert_false(die_of(&fatal));
    for (int i = 0; i < 10; i++)
        survive(&fatal);
}

TEST(two_deaths_are_a_reason_to_refuse_for_a_minute)
{
    refuse(&fatal);
    time_ms += MINUTE - 1;
    assert_false(admitted(&fatal));
    time_ms += 1;
    assert_true(admitted(&fatal));
}

TEST(two_deaths_within_ten_minutes_are_a_reason)
{
    assert_false(die_of(&fatal));
    time_ms += 10 * MINUTE;
    assert_true(die_of(&fatal));
}

TEST(two_deaths_in_more_than_ten_minutes_are_not)
{
    for (int i = 0; i < 5; i++) {
        assert_false(die_of(&fatal));
        time_ms += 10 * MINUTE + 1;
    }
}

TEST(behind_the_minute_one_worker_tries_alone)
{
    refuse(&fatal);
    time_ms += MINUTE;
    assert_true(quarantine_admit(&shared, worker(1), &fatal));
    for (int i = 2; i < 10; i++)
        assert_false(quarantine_admit(&shared, worker(i), &fatal));
    assert_true(quarantine_suspect(&shared, atomic_load(&worker(1)->fingerprint)));
    time_ms += MINUTE - 1;
    assert_false(admitted(&fatal));
}

TEST(a_trial_that_is_survived_forgets_all)
{
    refuse(&fatal);
    time_ms += MINUTE;
    survive(&fatal);
    for (int i = 0; i < 3; i++)
        survive(&fatal);
    refuse(&fatal);
}

/* It is not tried before a worker that waits has it, which is not asked again. */
TEST(what_is_handed_over_is_tried_by_whoever_gets_it)
{
    refuse(&fatal);
    time_ms += MINUTE;
    worker(1)->waits = true;
    assert_true(admitted(&fatal));
    quarantine_release(&shared, worker(0), false);
    assert_false(admitted(&fatal));
    assert_true(quarantine_admit(&shared, worker(1), &fatal));
    quarantine_release(&shared, worker(1), true);
    assert_true(admitted(&fatal));
}

TEST(what_is_refused_is_not_in_hand)
{
    refuse(&fatal);
    quarantine_release(&shared, worker(0), true);
    assert_false(admitted(&fatal));
    assert_int_equal(0, atomic_load(&worker(0)->fingerprint));
}

TEST(whatever_the_answer_depends_on_tells_requests_apart)
{
    static const struct request others[] = {
        {.method = "HEAD", .target = "/fatal", .accept = "*/*"},
        {.method = "GET", .target = "/fatal?", .accept = "*/*"},
        {.method = "GET", .target = "/fata", .accept = "l*/*"},
        {.method = "GET", .target = "/fatal", .accept = "*/"},
        {.method = "GET", .target = "/fatal", .if_none_match = "*/*"},
        {.method = "GET", .target = "/fatal", .if_match = "*/*"},
        {.method = "GET", .target = "/fatal", .accept = "*/*", .if_none_match = ""},
        {.method = "GET", .target = "/fatal", .accept = "*/*", .content_length = "1"},
        {.method = "GET", .target = "/fatal", .accept = "*/*", .body = "", .body_length = 1},
        {.method = "GET", .target = "/fatal", .accept = "*/*", .content_type = "a/b"},
        {.method = "GET", .target = "/fatal", .accept = "*/*", .content_encoding = "gzip"},
    };
    refuse(&fatal);
    for (size_t i = 0; i < LENGTH(others); i++)
        survive(&others[i]);
    assert_false(admitted(&fatal));
}

TEST(a_body_is_a_part_of_what_was_fatal_each_byte_of_it)
{
    struct request request = {
        .method = "POST", .target = "/", .body = "name=Ada&mood=x", .body_length = 15};
    refuse(&request);
    assert_false(admitted(&request));
    for (size_t i = 0; i < 15; i++) {
        char other[] = "name=Ada&mood=x";
        other[i]++;
        request.body = other;
        survive(&request);
    }
    request.body = "name=Ada&mood=x";
    request.body_length = 14;
    survive(&request);
}

TEST(what_differs_between_any_two_requests_does_not)
{
    struct request again = fatal;
    refuse(&fatal);
    again.request_id = "another-one";
    again.traceparent = "another";
    again.cloud_trace_context = "another";
    assert_false(admitted(&again));
}

TEST(a_flood_of_suspects_does_not_free_what_is_refused)
{
    char target[32];
    const struct request once = {.method = "GET", .target = target};
    refuse(&fatal);
    for (int i = 0; i < 10 * SUSPECTS_MAX; i++) {
        snprintf(target, sizeof(target), "/once/%d", i);
        assert_false(die_of(&once));
        time_ms += 1;
    }
    assert_false(admitted(&fatal));
}

TEST(the_table_holds_as_many_as_it_has_room_for_and_takes_new_ones)
{
    char target[32];
    const struct request request = {.method = "GET", .target = target};
    for (int i = 0; i < 3 * SUSPECTS_MAX; i++) {
        snprintf(target, sizeof(target), "/%d", i);
        refuse(&request);
        time_ms += 1;
    }
    for (int i = 0; i < 3 * SUSPECTS_MAX; i++) {
        snprintf(target, sizeof(target), "/%d", i);
        assert_int_equal(i < 2 * SUSPECTS_MAX, admitted(&request));
        quarantine_release(&shared, worker(0), true);
    }
}

/* Two that take turns, each of which must be remembered while the other one kills. */
static void expect_both_refused(void)
{
    const struct request first = {.method = "GET", .target = "/first"},
                         second = {.method = "GET", .target = "/second"};
    assert_false(die_of(&first));
    time_ms += 1;
    assert_false(die_of(&second));
    time_ms += 1;
    assert_true(die_of(&first));
    assert_true(die_of(&second));
}

/* All places but one are those of earlier ones, of which nobody is refused any more. */
TEST(what_is_over_gives_way_to_what_is_new)
{
    char target[32];
    const struct request earlier = {.method = "GET", .target = target};
    for (int forgotten = 0; forgotten < 2; forgotten++) {
        forget_all(NULL);
        for (int i = 0; i < SUSPECTS_MAX - 1; i++) {
            snprintf(target, sizeof(target), "/earlier/%d", i);
            refuse(&earlier);
            time_ms += MINUTE;
            if (forgotten)
                survive(&earlier);
        }
        expect_both_refused();
    }
}

TEST(what_the_log_shows_is_cut)
{
    const char *target = repeated("/", 2 * TARGET_SHOWN);
    survive(&(struct request){.method = repeated("M", 2 * METHOD_SHOWN), .target = target});
    assert_int_equal(METHOD_SHOWN - 1, strlen(worker(0)->method));
    assert_int_equal(TARGET_SHOWN - 1, strlen(worker(0)->target));
}

TEST(the_answer_says_what_happened_and_has_no_body_for_HEAD)
{
    struct response response;
    quarantine_answer(&fatal, &response);
    assert_int_equal(500, response.status);
    assert_false(response.head_only);
    assert_non_null(strstr(response.body.bytes, "has ended the process that answered it, twice"));
    quarantine_answer(
        &(struct request){.method = "HEAD", .target = "/fatal", .request_id = "an-id-of-its-own"},
        &response);
    assert_non_null(strstr(response.body.bytes, "\nRequest: an-id-of-its-own\n"));
    assert_true(response.head_only);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(one_death_is_no_reason_to_refuse, forget_all),
        cmocka_unit_test_setup(two_deaths_are_a_reason_to_refuse_for_a_minute, forget_all),
        cmocka_unit_test_setup(two_deaths_within_ten_minutes_are_a_reason, forget_all),
        cmocka_unit_test_setup(two_deaths_in_more_than_ten_minutes_are_not, forget_all),
        cmocka_unit_test_setup(behind_the_minute_one_worker_tries_alone, forget_all),
        cmocka_unit_test_setup(a_trial_that_is_survived_forgets_all, forget_all),
        cmocka_unit_test_setup(what_is_handed_over_is_tried_by_whoever_gets_it, forget_all),
        cmocka_unit_test_setup(what_is_refused_is_not_in_hand, forget_all),
        cmocka_unit_test_setup(whatever_the_answer_depends_on_tells_requests_apart, forget_all),
        cmocka_unit_test_setup(a_body_is_a_part_of_what_was_fatal_each_byte_of_it, forget_all),
        cmocka_unit_test_setup(what_differs_between_any_two_requests_does_not, forget_all),
        cmocka_unit_test_setup(a_flood_of_suspects_does_not_free_what_is_refused, forget_all),
        cmocka_unit_test_setup(the_table_holds_as_many_as_it_has_room_for_and_takes_new_ones,
                               forget_all),
        cmocka_unit_test_setup(what_is_over_gives_way_to_what_is_new, forget_all),
        cmocka_unit_test_setup(what_the_log_shows_is_cut, forget_all),
        cmocka_unit_test_setup(the_answer_says_what_happened_and_has_no_body_for_HEAD, forget_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
