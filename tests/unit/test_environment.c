/* The settings and the requests that environment variables hold. */
#include "cases.h"

#include "core/text.h"
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

static const char *number(int value)
{
    static char digits[16];
    snprintf(digits, sizeof(digits), "%d", value);
    return digits;
}

static void add_change(struct text *text, const char *name, const char *value)
{
    text_add(text, name);
    text_add(text, "=");
    text_add(text, value ? value : "(NULL)");
}

/* What in settings is not as it is by default, with 4 CPUs, as "member=value". */
static const char *changes_in(const struct settings *settings)
{
    static char changes[1024];
    struct text text = text_in(changes, sizeof(changes));
    const struct {
        const char *name, *value;
    } members[] = {
        {"greeting", settings->greeting}, {"name", settings->name},
        {"service", settings->service},   {"revision", settings->revision},
        {"region", settings->region},     {"project", settings->project},
    };
    for (size_t i = 0; i < LENGTH(members); i++)
        if (members[i].value)
            add_change(&text, members[i].name, members[i].value);
    if (settings->workers != 4)
        add_change(&text, "workers", number(settings->workers));
    if (settings->waiting_workers != 8)
        add_change(&text, "waiting_workers", number(settings->waiting_workers));
    if (settings->log_level != LOG_INFO)
        add_change(&text, "log_level", number((int)settings->log_level));
    if (settings->request_timeout != 4)
        add_change(&text, "request_timeout", number(settings->request_timeout));
    if (!settings->sandbox)
        add_change(&text, "sandbox", "0");
    return changes;
}

struct taken {
    int line;
    const char *variable, *changes;
};

static void check_taken(const struct taken cases[], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct settings got;
        const char *variable = cases[i].variable;
        same_string(cases[i].line, variable, "", problem_with(cases[i].line, variable, &got, 1024));
        same_string(cases[i].line, variable, cases[i].changes, changes_in(&got));
    }
}

TEST(each_setting_has_a_default_and_a_variable_of_its_own)
{
    static const struct taken cases[] = {
        {__LINE__, "OTHER=x", ""},
        {__LINE__, "GREETING=Moin", "greeting=Moin"},
        {__LINE__, "GREETING_NAME=Ada", "name=Ada"},
        {__LINE__, "REGION=europe-west6", "region=europe-west6"},
        {__LINE__, "K_SERVICE=hello", "service=hello"},
        {__LINE__, "K_REVISION=hello-1", "revision=hello-1"},
        {__LINE__, "GOOGLE_CLOUD_PROJECT=lab", "project=lab"},
        {__LINE__, "WORKERS=3", "workers=3"},
        {__LINE__, "WAITING_WORKERS=3", "waiting_workers=3"},
        {__LINE__, "REQUEST_TIMEOUT=9", "request_timeout=9"},
        {__LINE__, "SANDBOX=off", "sandbox=0"},
        {__LINE__, "LOG_LEVEL=error", "log_level=3"},
    };
    cpus = 4;
    check_taken(TABLE(cases));
}

TEST(a_variable_is_known_by_its_exact_name)
{
    static const char *const variables[] = {
        "NAME=Ada",   "greeting_name=Ada", "GREETING_NAM=Ada", "GREETING_NAME",
        "GREETINGS=", "XGREETING=a",       "WORKERS_=99",      "LOG=x"};
    cpus = 4;
    for (size_t i = 0; i < LENGTH(variables); i++) {
        const struct taken one = {__LINE__, variables[i], ""};
        check_taken(&one, 1);
    }
}

TEST(any_text_without_control_characters_is_taken)
{
    static const struct taken cases[] = {
        {__LINE__, "GREETING_NAME= a ", "name= a "},
        {__LINE__, "GREETING_NAME=a=b", "name=a=b"},
        {__LINE__, "GREETING_NAME=%s<b>&\"", "name=%s<b>&\""},
        {__LINE__, "GREETING=\xE4\xB8\x96", "greeting=\xE4\xB8\x96"},
    };
    cpus = 4;
    check_taken(TABLE(cases));
}

#define TEXT_REFUSED                                                                               \
    "\": must be 1 to 64 characters of UTF-8, not all blank, without control characters"

TEST(a_text_that_no_greeting_could_show_is_refused)
{
    static const struct refused cases[] = {
        {__LINE__, "GREETING=", "GREETING=\"" TEXT_REFUSED},
        {__LINE__, "GREETING_NAME=", "GREETING_NAME=\"" TEXT_REFUSED},
        {__LINE__, "K_SERVICE=", "K_SERVICE=\"" TEXT_REFUSED},
        {__LINE__, "K_REVISION=", "K_REVISION=\"" TEXT_REFUSED},
        {__LINE__, "GREETING_NAME= ", "GREETING_NAME=\" " TEXT_REFUSED},
        {__LINE__, "GREETING=\u200B", "GREETING=\"\\xE2\\x80\\x8B" TEXT_REFUSED},
        {__LINE__, "GREETING=a\u202E", "GREETING=\"a\\xE2\\x80\\xAE" TEXT_REFUSED},
        {__LINE__, "GREETING=\xFF", "GREETING=\"\\xFF" TEXT_REFUSED},
        {__LINE__, "GREETING_NAME=\xC3", "GREETING_NAME=\"\\xC3" TEXT_REFUSED},
        {__LINE__, "GREETING_NAME=\xEF\xBF\xBE", "GREETING_NAME=\"\\xEF\\xBF\\xBE" TEXT_REFUSED},
        {__LINE__, "GREETING_NAME=two\nlines", "GREETING_NAME=\"two\\x0Alines" TEXT_REFUSED},
        {__LINE__, "K_SERVICE=\x01", "K_SERVICE=\"\\x01" TEXT_REFUSED},
        {__LINE__, "K_REVISION=a\tb\x7F", "K_REVISION=\"a\\x09b\\x7F" TEXT_REFUSED},
    };
    check_refused(TABLE(cases));
}

TEST(a_text_has_at_most_64_code_points)
{
    static const char *const names[] = {"GREETING", "GREETING_NAME", "K_SERVICE", "K_REVISION"};
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
        snprintf(variable, sizeof(variable), "GREETING_NAME=%s", repeated("n", length));
        snprintf(expected, sizeof(expected), "GREETING_NAME=\"%s%s" TEXT_REFUSED,
                 repeated("n", length < 100 ? length : 100), length > 100 ? "..." : "");
        check_refused(&(struct refused){__LINE__, variable, expected}, 1);
    }
    snprintf(variable, sizeof(variable), "GREETING_NAME=%s", repeated("\x01", 200));
    snprintf(expected, sizeof(expected), "GREETING_NAME=\"%s..." TEXT_REFUSED,
             repeated("\\x01", 100));
    check_refused(&(struct refused){__LINE__, variable, expected}, 1);
}

TEST(numbers_and_choices_are_taken_within_their_bounds)
{
    static const struct taken cases[] = {
        {__LINE__, "WORKERS=1", "workers=1"},
        {__LINE__, "WORKERS=29", "workers=29"},
        {__LINE__, "WORKERS=64", "workers=64"},
        {__LINE__, "WORKERS=007", "workers=7"},
        {__LINE__, "REQUEST_TIMEOUT=1", "request_timeout=1"},
        {__LINE__, "REQUEST_TIMEOUT=3600", "request_timeout=3600"},
        {__LINE__, "SANDBOX=on", ""},
        {__LINE__, "LOG_LEVEL=debug", "log_level=0"},
        {__LINE__, "LOG_LEVEL=info", ""},
        {__LINE__, "LOG_LEVEL=warning", "log_level=2"},
        {__LINE__, "LOG_LEVEL=error", "log_level=3"},
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

TEST(any_other_timeout_and_sandbox_is_refused)
{
    static const struct refused cases[] = {
        {__LINE__, "REQUEST_TIMEOUT=0", "REQUEST_TIMEOUT=\"0\": must be a number from 1 to 3600"},
        {__LINE__, "REQUEST_TIMEOUT=3601",
         "REQUEST_TIMEOUT=\"3601\": must be a number from 1 to 3600"},
        {__LINE__, "REQUEST_TIMEOUT=4s", "REQUEST_TIMEOUT=\"4s\": must be a number from 1 to 3600"},
        {__LINE__, "SANDBOX=", "SANDBOX=\"\": must be on or off"},
        {__LINE__, "SANDBOX=1", "SANDBOX=\"1\": must be on or off"},
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
    same_string(line, "if_match", expected->if_match, got->if_match);
    same_string(line, "traceparent", expected->traceparent, got->traceparent);
    same_string(line, "cloud_trace_context", expected->cloud_trace_context,
                got->cloud_trace_context);
    same_string(line, "request_id", expected->request_id, got->request_id);
    same_string(line, "content_length", expected->content_length, got->content_length);
    same_number(line, "body_length", 0, got->body_length);
    same_number(line, "draining", false, got->draining);
}

TEST(a_request_is_read_from_its_variables)
{
    char *const variables[] = {"QUERY_STRING=name=b", "REQUEST_METHOD=POST",
                               "REQUEST_URI=/?a=b",   "HTTP_ACCEPT=text/html",
                               "CONTENT_LENGTH=5",    "HTTP_IF_NONE_MATCH=\"a=b\"",
                               "HTTP_HOST=x",         "HTTP_IF_MATCH=*",
                               "HTTP_TRACEPARENT=00", "HTTP_X_CLOUD_TRACE_CONTEXT=1/2;o=1",
                               "HTTP_X_REQUEST_ID=c", NULL};
    const struct request request = request_from(variables);
    const struct request expected = {.method = "POST",
                                     .target = "/?a=b",
                                     .accept = "text/html",
                                     .if_match = "*",
                                     .if_none_match = "\"a=b\"",
                                     .content_length = "5",
                                     .traceparent = "00",
                                     .cloud_trace_context = "1/2;o=1",
                                     .request_id = "c"};
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
    const struct request expected = {
        .method = "", .target = "", .accept = "", .if_none_match = "", .content_length = ""};
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
        cmocka_unit_test(numbers_and_choices_are_taken_within_their_bounds),
        cmocka_unit_test(workers_that_are_none_are_refused),
        cmocka_unit_test(by_default_there_is_a_worker_for_each_cpu_but_at_least_2_and_at_most_64),
        cmocka_unit_test(any_other_log_level_is_refused),
        cmocka_unit_test(any_other_timeout_and_sandbox_is_refused),
        cmocka_unit_test(a_problem_is_cut_to_its_buffer),
        cmocka_unit_test(a_request_is_read_from_its_variables),
        cmocka_unit_test(what_the_web_server_did_not_send_is_empty_or_absent),
        cmocka_unit_test(a_variable_that_is_empty_is_there),
        cmocka_unit_test(a_variable_is_known_by_its_whole_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
