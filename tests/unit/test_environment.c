/* The settings and the requests that environment variables hold. */
#include "cases.h"

#include "environment.h"

#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

static int cpus; /* 0: the system does not tell */

/* Stands in for libc's, since the machine that tests has only so many CPUs. */
int sched_getaffinity(pid_t pid, size_t size, cpu_set_t *set)
{
    CPU_ZERO_S(size, set);
    for (int cpu = 0; cpu < cpus; cpu++)
        CPU_SET_S((size_t)cpu, size, set);
    return pid == 0 && cpus > 0 ? 0 : -1;
}

/* settings_read() with that variable as the whole environment. The problem, "" when there is none,
 * goes to a buffer of just size bytes. */
static const char *problem_with(int line, const char *variable, struct settings *settings,
                                size_t size)
{
    static char unset[] = "PATH=/";
    char *variables[] = {variable ? (char *)variable : unset, NULL};
    char **const saved = environ;
    char *problem = walled(line, size);
    memset(problem, 'x', size);
    memset(settings, 0xA5, sizeof(*settings));
    environ = variables;
    const bool read = settings_read(settings, problem, size);
    environ = saved;
    return read ? "" : problem;
}

struct refused {
    int line;
    const char *variable, *problem;
};

static void check_refused(const struct refused cases[], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct settings settings;
        const char *problem = problem_with(cases[i].line, cases[i].variable, &settings, 1024);
        same_string(cases[i].line, cases[i].variable, cases[i].problem, problem);
    }
}

struct taken {
    int line;
    const char *variable;
    struct settings expected;
};

static void check_taken(const struct taken cases[], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const int line = cases[i].line;
        const char *variable = cases[i].variable;
        const struct settings *expected = &cases[i].expected;
        struct settings got;
        same_string(line, variable, "", problem_with(line, variable, &got, 1024));
        same_string(line, variable, expected->greeting, got.greeting);
        same_string(line, variable, expected->name, got.name);
        same_string(line, variable, expected->service, got.service);
        same_string(line, variable, expected->revision, got.revision);
        same_number(line, variable, (uintmax_t)expected->workers, (uintmax_t)got.workers);
        same_number(line, variable, expected->log_level, got.log_level);
    }
}

TEST(each_setting_has_a_default_and_a_variable_of_its_own)
{
    static const struct taken cases[] = {
        {__LINE__, "OTHER=x", {"Hello", "World", NULL, NULL, 4, LOG_INFO}},
        {__LINE__, "GREETING=Moin", {"Moin", "World", NULL, NULL, 4, LOG_INFO}},
        {__LINE__, "NAME=Ada", {"Hello", "Ada", NULL, NULL, 4, LOG_INFO}},
        {__LINE__, "K_SERVICE=hello", {"Hello", "World", "hello", NULL, 4, LOG_INFO}},
        {__LINE__, "K_REVISION=hello-1", {"Hello", "World", NULL, "hello-1", 4, LOG_INFO}},
        {__LINE__, "WORKERS=3", {"Hello", "World", NULL, NULL, 3, LOG_INFO}},
        {__LINE__, "LOG_LEVEL=error", {"Hello", "World", NULL, NULL, 4, LOG_ERROR}},
    };
    cpus = 4;
    check_taken(TABLE(cases));
}

TEST(a_variable_is_known_by_its_exact_name)
{
    static const char *const variables[] = {"NAMES=Ada",  "name=Ada",    "NAM=Ada",     "NAME",
                                            "GREETINGS=", "XGREETING=a", "WORKERS_=99", "LOG=x"};
    cpus = 4;
    for (size_t i = 0; i < LENGTH(variables); i++) {
        const struct taken one = {
            __LINE__, variables[i], {"Hello", "World", NULL, NULL, 4, LOG_INFO}};
        check_taken(&one, 1);
    }
}

TEST(any_text_without_control_characters_is_taken)
{
    static const struct taken cases[] = {
        {__LINE__, "NAME= ", {"Hello", " ", NULL, NULL, 4, LOG_INFO}},
        {__LINE__, "NAME=a=b", {"Hello", "a=b", NULL, NULL, 4, LOG_INFO}},
        {__LINE__, "NAME=%s<b>&\"", {"Hello", "%s<b>&\"", NULL, NULL, 4, LOG_INFO}},
        {__LINE__, "GREETING=\xE4\xB8\x96", {"\xE4\xB8\x96", "World", NULL, NULL, 4, LOG_INFO}},
    };
    cpus = 4;
    check_taken(TABLE(cases));
}

#define TEXT_REFUSED "\": must be 1 to 64 characters of UTF-8 without control characters"

TEST(a_text_that_no_greeting_could_show_is_refused)
{
    static const struct refused cases[] = {
        {__LINE__, "GREETING=", "GREETING=\"" TEXT_REFUSED},
        {__LINE__, "NAME=", "NAME=\"" TEXT_REFUSED},
        {__LINE__, "K_SERVICE=", "K_SERVICE=\"" TEXT_REFUSED},
        {__LINE__, "K_REVISION=", "K_REVISION=\"" TEXT_REFUSED},
        {__LINE__, "GREETING=\xFF", "GREETING=\"\\xFF" TEXT_REFUSED},
        {__LINE__, "NAME=\xC3", "NAME=\"\\xC3" TEXT_REFUSED},
        {__LINE__, "NAME=\xEF\xBF\xBE", "NAME=\"\\xEF\\xBF\\xBE" TEXT_REFUSED},
        {__LINE__, "NAME=two\nlines", "NAME=\"two\\x0Alines" TEXT_REFUSED},
        {__LINE__, "K_SERVICE=\x01", "K_SERVICE=\"\\x01" TEXT_REFUSED},
        {__LINE__, "K_REVISION=a\tb\x7F", "K_REVISION=\"a\\x09b\\x7F" TEXT_REFUSED},
    };
    check_refused(TABLE(cases));
}

TEST(a_text_has_at_most_64_code_points)
{
    static const char *const names[] = {"GREETING", "NAME", "K_SERVICE", "K_REVISION"};
    static const char *const code_points[] = {"a", "\xC3\xA9", "\xF0\x9F\x91\x8B"};
    for (size_t i = 0; i < LENGTH(names) * LENGTH(code_points); i++) {
        const char *name = names[i / LENGTH(code_points)];
        const char *code_point = code_points[i % LENGTH(code_points)];
        struct settings settings;
        char variable[512];
        snprintf(variable, sizeof(variable), "%s=%s", name, repeated(code_point, 64));
        same_string(__LINE__, variable, "", problem_with(__LINE__, variable, &settings, 1024));
        strcat(variable, "b");
        const char *problem = problem_with(__LINE__, variable, &settings, 1024);
        holds(__LINE__, variable, problem, strstr(problem, TEXT_REFUSED));
    }
}

TEST(a_value_that_is_refused_is_shown_up_to_100_bytes)
{
    char variable[256], expected[512];
    for (size_t length = 99; length <= 101; length++) {
        snprintf(variable, sizeof(variable), "NAME=%s", repeated("n", length));
        snprintf(expected, sizeof(expected), "NAME=\"%s%s" TEXT_REFUSED,
                 repeated("n", length < 100 ? length : 100), length > 100 ? "..." : "");
        check_refused(&(struct refused){__LINE__, variable, expected}, 1);
    }
    snprintf(variable, sizeof(variable), "NAME=%s", repeated("\x01", 200));
    snprintf(expected, sizeof(expected), "NAME=\"%s..." TEXT_REFUSED, repeated("\\x01", 100));
    check_refused(&(struct refused){__LINE__, variable, expected}, 1);
}

TEST(workers_and_log_level_are_taken_within_their_bounds)
{
    static const struct taken cases[] = {
        {__LINE__, "WORKERS=1", {"Hello", "World", NULL, NULL, 1, LOG_INFO}},
        {__LINE__, "WORKERS=29", {"Hello", "World", NULL, NULL, 29, LOG_INFO}},
        {__LINE__, "WORKERS=64", {"Hello", "World", NULL, NULL, 64, LOG_INFO}},
        {__LINE__, "WORKERS=007", {"Hello", "World", NULL, NULL, 7, LOG_INFO}},
        {__LINE__, "LOG_LEVEL=debug", {"Hello", "World", NULL, NULL, 4, LOG_DEBUG}},
        {__LINE__, "LOG_LEVEL=info", {"Hello", "World", NULL, NULL, 4, LOG_INFO}},
        {__LINE__, "LOG_LEVEL=warning", {"Hello", "World", NULL, NULL, 4, LOG_WARNING}},
        {__LINE__, "LOG_LEVEL=error", {"Hello", "World", NULL, NULL, 4, LOG_ERROR}},
    };
    cpus = 4;
    check_taken(TABLE(cases));
}

TEST(workers_that_are_none_are_refused)
{
    static const char *const values[] = {
        "",    "0",  "65", "100", "-1",  "+1",  " 1",  "1 ",  "1a",         "a1",
        "0x1", "1.", "1,", "two", "1\n", "1e1", "000", "640", "4294967297", "18446744073709551617"};
    for (size_t i = 0; i < LENGTH(values); i++) {
        char variable[64], expected[128];
        snprintf(variable, sizeof(variable), "WORKERS=%s", values[i]);
        snprintf(expected, sizeof(expected), "WORKERS=\"%s\": must be a number from 1 to 64",
                 strcmp(values[i], "1\n") == 0 ? "1\\x0A" : values[i]);
        check_refused(&(struct refused){__LINE__, variable, expected}, 1);
    }
}

TEST(by_default_there_is_a_worker_for_each_cpu_but_at_least_2_and_at_most_64)
{
    static const struct {
        int line, cpus, workers;
    } cases[] = {
        {__LINE__, 0, 2},   {__LINE__, 1, 2},   {__LINE__, 2, 2},   {__LINE__, 3, 3},
        {__LINE__, 63, 63}, {__LINE__, 64, 64}, {__LINE__, 65, 64}, {__LINE__, 1024, 64},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct settings settings;
        cpus = cases[i].cpus;
        same_string(cases[i].line, "", "", problem_with(cases[i].line, NULL, &settings, 1024));
        same_number(cases[i].line, "that many CPUs", (uintmax_t)cases[i].workers,
                    (uintmax_t)settings.workers);
    }
}

#define LEVEL_REFUSED "\": must be debug, info, warning or error"

TEST(any_other_log_level_is_refused)
{
    static const struct refused cases[] = {
        {__LINE__, "LOG_LEVEL=", "LOG_LEVEL=\"" LEVEL_REFUSED},
        {__LINE__, "LOG_LEVEL=INFO", "LOG_LEVEL=\"INFO" LEVEL_REFUSED},
        {__LINE__, "LOG_LEVEL=warn", "LOG_LEVEL=\"warn" LEVEL_REFUSED},
        {__LINE__, "LOG_LEVEL=debug ", "LOG_LEVEL=\"debug " LEVEL_REFUSED},
        {__LINE__, "LOG_LEVEL=1", "LOG_LEVEL=\"1" LEVEL_REFUSED},
    };
    check_refused(TABLE(cases));
}

TEST(a_problem_is_cut_to_its_buffer)
{
    static const char whole[] = "WORKERS=\"0\": must be a number from 1 to 64";
    for (size_t size = 1; size <= sizeof(whole); size++) {
        struct settings settings;
        char expected[sizeof(whole)];
        snprintf(expected, size, "%s", whole);
        same_string(__LINE__, "WORKERS=0", expected,
                    problem_with(__LINE__, "WORKERS=0", &settings, size));
    }
}

static void check_request(int line, const struct request *got, const struct request *expected)
{
    same_string(line, "method", expected->method, got->method);
    same_string(line, "target", expected->target, got->target);
    same_string(line, "accept", expected->accept, got->accept);
    same_string(line, "if_none_match", expected->if_none_match, got->if_none_match);
    same_string(line, "content_length", expected->content_length, got->content_length);
    same_number(line, "body_length", 0, got->body_length);
    same_number(line, "draining", false, got->draining);
}

TEST(a_request_is_read_from_its_variables)
{
    char *const variables[] = {"QUERY_STRING=name=b", "REQUEST_METHOD=POST",
                               "REQUEST_URI=/?a=b",   "HTTP_ACCEPT=text/html",
                               "CONTENT_LENGTH=5",    "HTTP_IF_NONE_MATCH=\"a=b\"",
                               "HTTP_HOST=x",         NULL};
    const struct request request = request_from(variables);
    const struct request expected = {.method = "POST",
                                     .target = "/?a=b",
                                     .accept = "text/html",
                                     .if_none_match = "\"a=b\"",
                                     .content_length = "5"};
    check_request(__LINE__, &request, &expected);
    assert_ptr_equal(request.method, variables[1] + strlen("REQUEST_METHOD="));
}

/* respond() needs a method and a target. */
TEST(what_the_web_server_did_not_send_is_empty_or_absent)
{
    char *const variables[] = {NULL};
    const struct request request = request_from(variables);
    check_request(__LINE__, &request, &(struct request){.method = "", .target = ""});
}

TEST(a_variable_that_is_empty_is_there)
{
    char *const variables[] = {"REQUEST_METHOD=",     "REQUEST_URI=",    "HTTP_ACCEPT=",
                               "HTTP_IF_NONE_MATCH=", "CONTENT_LENGTH=", NULL};
    const struct request request = request_from(variables);
    const struct request expected = {"", "", "", "", "", 0, false};
    check_request(__LINE__, &request, &expected);
}

TEST(a_variable_is_known_by_its_whole_name)
{
    char *const variables[] = {"REQUEST_METHOD",
                               "REQUEST_METHODS=PUT",
                               "REQUEST_URL=/x",
                               "XHTTP_ACCEPT=a",
                               "HTTP_ACCEPT_LANGUAGE=de",
                               "http_accept=b",
                               "CONTENT_LENGTH2=5",
                               "HTTP_IF_NONE_MATC=c",
                               "=",
                               "",
                               NULL};
    const struct request request = request_from(variables);
    check_request(__LINE__, &request, &(struct request){.method = "", .target = ""});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_setting_has_a_default_and_a_variable_of_its_own),
        cmocka_unit_test(a_variable_is_known_by_its_exact_name),
        cmocka_unit_test(any_text_without_control_characters_is_taken),
        cmocka_unit_test(a_text_that_no_greeting_could_show_is_refused),
        cmocka_unit_test(a_text_has_at_most_64_code_points),
        cmocka_unit_test(a_value_that_is_refused_is_shown_up_to_100_bytes),
        cmocka_unit_test(workers_and_log_level_are_taken_within_their_bounds),
        cmocka_unit_test(workers_that_are_none_are_refused),
        cmocka_unit_test(by_default_there_is_a_worker_for_each_cpu_but_at_least_2_and_at_most_64),
        cmocka_unit_test(any_other_log_level_is_refused),
        cmocka_unit_test(a_problem_is_cut_to_its_buffer),
        cmocka_unit_test(a_request_is_read_from_its_variables),
        cmocka_unit_test(what_the_web_server_did_not_send_is_empty_or_absent),
        cmocka_unit_test(a_variable_that_is_empty_is_there),
        cmocka_unit_test(a_variable_is_known_by_its_whole_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
