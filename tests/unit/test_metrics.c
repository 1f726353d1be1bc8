/* metrics.h: what is counted, and how it is printed. */
#include "cases.h"

#include "core/respond.h"
#include "metrics.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct shared shared;
static struct response response;

static int forget_all(void **state)
{
    (void)state;
    memset(&shared, 0, sizeof(shared));
    return 0;
}

static void count_one(int slot, const char *method, const struct route *route, int status,
                      int64_t ns)
{
    response_init(&response);
    response.route = route;
    response.status = status;
    const struct request request = {.method = method, .target = "/"};
    metrics_count(&shared.slots[slot].traffic, &request, &response, ns);
}

static const char *printed(int workers)
{
    shared.slots_used = workers;
    metrics_answer(&shared, &response);
    assert_false(response.body.overflowed);
    return response.body.bytes;
}

static void expect_line(const char *line)
{
    char whole[256];
    snprintf(whole, sizeof(whole), "\n%s\n", line);
    if (!strstr(printed(WORKERS_MAX), whole))
        fail_msg("expected \"%s\" in %s", line, printed(WORKERS_MAX));
}

static size_t times_in(const char *text, const char *part)
{
    size_t times = 0;
    for (; (text = strstr(text, part)); text++)
        times++;
    return times;
}

TEST(the_slots_are_summed)
{
    for (int slot = 0; slot < WORKERS_MAX; slot++)
        count_one(slot, "GET", &routes[0], 200, 1);
    expect_line("http_server_requests_total{http_route=\"/\",http_request_method=\"GET\","
                "http_response_status_code=\"200\"} 64");
    expect_line("http_server_request_duration_seconds_sum{http_route=\"/\"} 0.000000064");
    assert_non_null(strstr(printed(3), "http_response_status_code=\"200\"} 3\n"));
}

TEST(methods_that_nobody_knows_are_one)
{
    const char *const unknown[] = {"BREW", "get", "", repeated("M", 5000), "G\"ET", "_OTHER"};
    for (size_t i = 0; i < LENGTH(unknown); i++)
        count_one(0, unknown[i], NULL, 501, 1);
    expect_line("http_server_requests_total{http_route=\"\",http_request_method=\"_OTHER\","
                "http_response_status_code=\"501\"} 6");
    assert_int_equal(1, times_in(printed(1), "http_server_requests_total{"));
}

/* All that reason_phrase knows, so that whoever adds a status finds it here. */
TEST(every_status_of_the_service_is_counted_by_itself)
{
    for (int status = 100; status < 600; status++) {
        if (strcmp(reason_phrase(status), "Unknown") == 0)
            continue;
        char line[160];
        count_one(0, "GET", NULL, status, 1);
        snprintf(line, sizeof(line),
                 "http_server_requests_total{http_route=\"\",http_request_method=\"GET\","
                 "http_response_status_code=\"%d\"} 1",
                 status);
        expect_line(line);
    }
    count_one(0, "GET", NULL, 299, 1);
    expect_line("http_server_requests_total{http_route=\"\",http_request_method=\"GET\","
                "http_response_status_code=\"0\"} 1");
}

TEST(every_route_is_counted_by_itself)
{
    for (size_t route = 0; route < ROUTES; route++)
        count_one(0, "GET", &routes[route], 200, 1);
    assert_int_equal(ROUTES, times_in(printed(1), "http_server_requests_total{"));
    assert_int_equal(ROUTES, times_in(printed(1), "duration_seconds_count{"));
}

TEST(a_bucket_holds_what_took_at_most_so_long)
{
    static const struct {
        int line;
        int64_t ns;
        const char *first;
    } cases[] = {
        {__LINE__, 0, "0.0001"},         {__LINE__, 100000, "0.0001"},
        {__LINE__, 100001, "0.00025"},   {__LINE__, 1000000, "0.001"},
        {__LINE__, 9999999999, "10"},    {__LINE__, 10000000000, "10"},
        {__LINE__, 10000000001, "+Inf"}, {__LINE__, INT64_MAX, "+Inf"},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        char full[64];
        forget_all(NULL);
        count_one(0, "GET", &routes[0], 200, cases[i].ns);
        const char *text = printed(1);
        snprintf(full, sizeof(full), "le=\"%s\"} 1\n", cases[i].first);
        const char *first = strstr(text, full);
        holds(cases[i].line, full, "is printed", first != NULL);
        const size_t before = times_in(text, "_bucket{") - times_in(first, "_bucket{");
        same_number(cases[i].line, "buckets below", before - 1, times_in(text, "\"} 0\n") - 3);
    }
}

/* Every route with what clients can bring about: by the methods that routes have, and by others. */
TEST(the_most_that_there_can_be_fits)
{
    static const int answered[] = {200, 304, 400, 406, 412, 413, 415, 500, 503};
    for (size_t route = 0; route <= ROUTES; route++) {
        const struct route *taken = route < ROUTES ? &routes[route] : NULL;
        for (enum method method = 0; method < METHODS; method++) {
            count_one(0, methods[method], taken, taken ? 405 : 404, 1);
            count_one(0, methods[method], taken, taken ? 400 : 501, 1);
            for (size_t i = 0; i < LENGTH(answered) && method < METHOD_PUT; i++)
                count_one(0, methods[method], taken, answered[i], 1);
        }
    }
    printed(1);
}

TEST(a_name_has_its_help_and_type_once_and_before_it)
{
    count_one(0, "GET", &routes[0], 200, 1);
    const char *text = printed(1);
    assert_int_equal(times_in(text, "# HELP "), times_in(text, "# TYPE "));
    assert_int_equal(times_in(text, "# HELP http_server_requests_total "), 1);
    assert_true(strstr(text, "# TYPE http_server_requests_total counter") <
                strstr(text, "\nhttp_server_requests_total{"));
    assert_int_equal('\n', text[strlen(text) - 1]);
}

TEST(the_cpu_time_of_a_slot_never_goes_back)
{
    struct usage usage = {.earlier_ns = 5};
    metrics_look(getpid(), &usage);
    const uint64_t used = atomic_load(&usage.cpu_ns);
    assert_true(used > 5 && atomic_load(&usage.memory) > 100000);
    usage.earlier_ns = 0;
    atomic_store(&usage.cpu_ns, UINT64_MAX);
    metrics_look(getpid(), &usage);
    assert_true(atomic_load(&usage.cpu_ns) == UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_slots_are_summed, forget_all),
        cmocka_unit_test_setup(methods_that_nobody_knows_are_one, forget_all),
        cmocka_unit_test_setup(every_status_of_the_service_is_counted_by_itself, forget_all),
        cmocka_unit_test_setup(every_route_is_counted_by_itself, forget_all),
        cmocka_unit_test_setup(a_bucket_holds_what_took_at_most_so_long, forget_all),
        cmocka_unit_test_setup(the_most_that_there_can_be_fits, forget_all),
        cmocka_unit_test_setup(a_name_has_its_help_and_type_once_and_before_it, forget_all),
        cmocka_unit_test_setup(the_cpu_time_of_a_slot_never_goes_back, forget_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
