/* What the log says about a request once it is answered. */
#include "cases.h"

#include "log.h"
#include "reply.h"

#include <jansson.h>
#include <stdlib.h>
#include <unistd.h>

static const struct settings broken = {.greeting = "\xFF", .name = "World"};
static const struct settings curious = {
    .greeting = "Hello", .name = "World", .log_level = LOG_DEBUG};

static struct response response; /* the last */

/* The line that a reply writes, "" for none. */
static const char *logged(const struct settings *settings, const struct request *request)
{
    static char printed[RESPONSE_MAX], line[8192];
    int ends[2];
    const int saved = dup(STDERR_FILENO);
    assert_int_equal(pipe(ends), 0);
    dup2(ends[1], STDERR_FILENO);
    close(ends[1]);
    log_open(settings);
    const size_t length = reply(settings, request, &response, printed, sizeof(printed));
    dup2(saved, STDERR_FILENO);
    close(saved);
    const ssize_t count = read(ends[0], line, sizeof(line) - 1);
    close(ends[0]);
    assert_true(length > 0 && count >= 0);
    line[count] = '\0';
    return line;
}

static void check_said(int line, const char *got, const char *const expected[], size_t count)
{
    for (size_t i = 0; i < count; i++)
        holds(line, got, expected[i], strstr(got, expected[i]));
}

TEST(a_500_is_logged_with_its_reason_its_route_and_its_request)
{
    static const struct request request = {
        .method = "GET", .target = "/?format=json", .request_id = "0123abcd"};
    static const char *const expected[] = {
        "\"severity\":\"ERROR\"", "\"request_id\":\"0123abcd\"",
        "\"message\":\"/ answers 500: the body does not fit, or memory is short\""};
    check_said(__LINE__, logged(&broken, &request), TABLE(expected));
}

TEST(for_debugging_each_request_is_a_line_with_its_duration)
{
    static const struct request request = {
        .method = "GET",
        .target = "/nothing",
        .traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"};
    static const char *const expected[] = {
        "\"severity\":\"DEBUG\"",
        "\"logging.googleapis.com/trace\":\"0af7651916cd43dd8448eb211c80319c\"",
        "\"logging.googleapis.com/trace_sampled\":false", "\"message\":\"GET /nothing 404 in ",
        " us\"}\n"};
    check_said(__LINE__, logged(&curious, &request), TABLE(expected));
}

TEST(else_a_request_is_no_line)
{
    static const struct settings usual = {
        .greeting = "Hello", .name = "World", .log_level = LOG_INFO};
    static const struct request request = {.method = "GET", .target = "/nothing"};
    assert_string_equal(logged(&usual, &request), "");
}

static size_t calls, refused; /* of jansson's allocations, counted from 1 */

static void *refusing(size_t size)
{
    return ++calls == refused ? NULL : malloc(size);
}

static void check_logged(const struct settings *settings, const struct request *request)
{
    const char *line = logged(settings, request);
    const bool failed = response.status == 500;
    same_number(__LINE__, line, failed, strstr(line, "\"severity\":\"ERROR\"") != NULL);
    if (failed) {
        holds(__LINE__, line, "the id", strstr(line, "\"request_id\":\"0123abcd\""));
        holds(__LINE__, line, "the route", strstr(line, "\"message\":\"/ answers 500: "));
        holds(__LINE__, line, response.failure, strstr(line, response.failure));
    }
}

/* Whether memory is short, or a setting makes it impossible to put an answer together. */
TEST(a_500_and_nothing_else_has_a_line_that_says_why)
{
    static const struct settings usual = {.name = "World"};
    static const char *const accepts[] = {NULL, "text/html", "application/json", "image/png"};
    static const char *const bodies[] = {"", "{\"name\":\"Ada\"}", "{\"name\":1}", "{"};
    size_t failed = 0;
    json_set_alloc_funcs(refusing, free);
    for (size_t i = 0; i < LENGTH(accepts) * LENGTH(bodies) * 2; i++) {
        const char *body = bodies[i / 2 % LENGTH(bodies)];
        const struct request request = {.method = *body ? "POST" : "GET",
                                        .target = "/",
                                        .accept = accepts[i / 2 / LENGTH(bodies)],
                                        .content_type = "application/json",
                                        .body = body,
                                        .body_length = strlen(body),
                                        .request_id = "0123abcd"};
        for (refused = calls = 0; refused <= calls; refused++) {
            calls = 0;
            check_logged(i % 2 ? &broken : &usual, &request);
            failed += response.status == 500;
        }
    }
    json_set_alloc_funcs(malloc, free);
    assert_in_range(failed, 20, 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_500_is_logged_with_its_reason_its_route_and_its_request),
        cmocka_unit_test(for_debugging_each_request_is_a_line_with_its_duration),
        cmocka_unit_test(else_a_request_is_no_line),
        cmocka_unit_test(a_500_and_nothing_else_has_a_line_that_says_why),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
