/* The lines of the log: what comes out of stderr is JSON whatever goes in. */
#include "cases.h"

#include "core/utf8.h"
#include "log.h"

#include <jansson.h>
#include <limits.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static struct settings settings = {.log_level = LOG_INFO};

/* What has been written to stderr, which is a file in memory, since the last call. */
static const char *written(void)
{
    static char bytes[65536];
    const ssize_t length = pread(STDERR_FILENO, bytes, sizeof(bytes) - 1, 0);
    assert_true(length >= 0);
    bytes[length] = '\0';
    assert_int_equal(ftruncate(STDERR_FILENO, 0), 0);
    assert_int_equal(lseek(STDERR_FILENO, 0, SEEK_SET), 0);
    return bytes;
}

static int capture(void **state)
{
    const int fd = memfd_create("log", 0);
    (void)state;
    assert_true(fd >= 0);
    dup2(fd, STDERR_FILENO);
    close(fd);
    log_open(&settings);
    log_form(LOG_JSON);
    return 0;
}

/* One line of printable UTF-8, at most as long as a pipe takes at once, that is a JSON object. */
static json_t *parsed(int line, const char *sent)
{
    const char *text = written();
    const size_t length = strlen(text);
    char copy[PIPE_BUF + 1];
    holds(line, sent, "1 to 4096 bytes", length > 0 && length <= PIPE_BUF);
    holds(line, sent, "a line feed at the end only", strchr(text, '\n') == text + length - 1);
    memcpy(copy, text, length - 1);
    copy[length - 1] = '\0';
    const enum utf8_fault fault = utf8_check(copy, SIZE_MAX); /* noncharacters are harmless here */
    holds(line, sent, "printable", fault == UTF8_OK || fault == UTF8_NONCHARACTER);
    json_t *json = json_loads(copy, JSON_REJECT_DUPLICATES, NULL);
    holds(line, copy, "JSON", json_is_object(json));
    return json;
}

static const char *member(const json_t *json, const char *name)
{
    return json_string_value(json_object_get(json, name));
}

TEST(a_line_has_severity_time_component_pid_and_message)
{
    static const char *const severities[LOG_LEVELS] = {"DEBUG", "INFO", "WARNING", "ERROR"};
    for (enum log_level level = LOG_INFO; level < LOG_LEVELS; level++) {
        log_line(level, "%s %d", "text", 7);
        json_t *json = parsed(__LINE__, "text 7");
        same_string(__LINE__, "", severities[level], member(json, "severity"));
        same_string(__LINE__, "", "responder", member(json, "component"));
        same_string(__LINE__, "", "text 7", member(json, "message"));
        assert_int_equal(json_integer_value(json_object_get(json, "pid")), getpid());
        assert_int_equal(json_object_size(json), 5);
        json_decref(json);
    }
}

/* RFC 3339, in UTC, to the microsecond. */
TEST(the_time_is_now)
{
    struct tm read = {.tm_year = 0};
    const time_t before = time(NULL);
    log_line(LOG_INFO, "now");
    json_t *json = parsed(__LINE__, "now");
    const char *told = member(json, "time");
    const char *end = strptime(told, "%Y-%m-%dT%H:%M:%S", &read);
    holds(__LINE__, told, "a time", end && *end == '.' && strlen(end) == 8 && end[7] == 'Z');
    same_number(__LINE__, told, 6, strspn(end + 1, "0123456789"));
    holds(__LINE__, told, "now", timegm(&read) >= before && timegm(&read) <= time(NULL));
    json_decref(json);
}

TEST(a_level_below_the_lowest_writes_nothing)
{
    log_line(LOG_DEBUG, "nothing");
    assert_string_equal(written(), "");
    assert_false(log_shows(LOG_DEBUG));
    assert_true(log_shows(LOG_INFO));
}

TEST(what_is_not_printable_is_escaped_and_the_rest_is_not_changed)
{
    static const struct {
        int line;
        const char *message, *expected;
    } cases[] = {
        {__LINE__, "\"quotes\" \\ /", "\"quotes\" \\ /"},
        {__LINE__, "Zo\xC3\xAB \U0001F468", "Zo\xC3\xAB \U0001F468"},
        {__LINE__, "\x1B[31m\r\n\t\x7F", "\x1B[31m\r\n\t\x7F"}, /* JSON's escapes, not bytes */
        {__LINE__, "\xC2\x9B", "\xC2\x9B"},
        {__LINE__, "\u202E\u2066", "\u202E\u2066"},
        {__LINE__, "a\xFF\xC3", "a\\xFF\\xC3"},
        {__LINE__, "\xED\xA0\x80", "\\xED\\xA0\\x80"},
        {__LINE__, "", ""},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        log_line(LOG_INFO, "%s", cases[i].message);
        json_t *json = parsed(cases[i].line, cases[i].message);
        same_string(cases[i].line, cases[i].message, cases[i].expected, member(json, "message"));
        json_decref(json);
    }
}

TEST(a_line_is_cut_visibly_and_stays_json)
{
    static const char *const pieces[] = {"a", "\xC3\xBC", "\U0001F468", "\x01", "\xFF", "\""};
    static const struct request request = {.request_id = "01234567"};
    for (size_t i = 0; i < LENGTH(pieces); i++) {
        const char *message = repeated(pieces[i], 3000);
        log_request(LOG_INFO, &request, "%s", message);
        json_t *json = parsed(__LINE__, message);
        const char *told = member(json, "message");
        const size_t length = strlen(told);
        holds(__LINE__, message, "\"…\" at the end only where it was cut",
              (strcmp(told + length - 3, "…") == 0) == (i > 0));
        json_decref(json);
    }
}

TEST(a_line_about_a_request_has_its_id_and_its_trace)
{
    static const struct request request = {
        .request_id = "01234567",
        .traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"};
    static const char *const names[][2] = {
        {"lab", "projects/lab/traces/0af7651916cd43dd8448eb211c80319c"},
        {NULL, "0af7651916cd43dd8448eb211c80319c"}};
    for (size_t i = 0; i < LENGTH(names); i++) {
        settings.project = names[i][0];
        log_open(&settings);
        log_request(LOG_INFO, &request, "text");
        json_t *json = parsed(__LINE__, "");
        same_string(__LINE__, "", "01234567", member(json, "request_id"));
        same_string(__LINE__, "", names[i][1], member(json, "logging.googleapis.com/trace"));
        same_string(__LINE__, "", "b7ad6b7169203331",
                    member(json, "logging.googleapis.com/spanId"));
        assert_true(json_is_true(json_object_get(json, "logging.googleapis.com/trace_sampled")));
        json_decref(json);
    }
}

TEST(a_request_without_trace_or_id_has_neither)
{
    static const struct request request = {.request_id = "\n", .traceparent = "\"", .method = ""};
    log_request(LOG_INFO, &request, "text");
    json_t *json = parsed(__LINE__, "");
    assert_int_equal(json_object_size(json), 5);
    json_decref(json);
}

TEST(no_bytes_make_a_line_that_is_not_json)
{
    srand((unsigned)getpid());
    for (int i = 0; i < 5000; i++) {
        char message[512];
        const size_t length = (size_t)rand() % (sizeof(message) - 1);
        for (size_t k = 0; k < length; k++)
            message[k] = (char)(1 + rand() % 255);
        message[length] = '\0';
        log_line(LOG_ERROR, "%s", message);
        json_decref(parsed(__LINE__, message));
    }
}

TEST(for_people_a_line_is_text)
{
    log_form(LOG_TEXT);
    log_line(LOG_ERROR, "GREETING=\"a\\b\"\x1B\xFF");
    assert_string_equal(written(), "responder: GREETING=\"a\\b\"\\u001B\\xFF\n");
    log_line(LOG_ERROR, "%s", repeated("a", 5000));
    const char *line = written();
    assert_int_equal(strlen(line), PIPE_BUF - 1);
    assert_string_equal(line + PIPE_BUF - 1 - strlen("a…\n"), "a…\n");
    log_form(LOG_JSON);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_has_severity_time_component_pid_and_message),
        cmocka_unit_test(the_time_is_now),
        cmocka_unit_test(a_level_below_the_lowest_writes_nothing),
        cmocka_unit_test(what_is_not_printable_is_escaped_and_the_rest_is_not_changed),
        cmocka_unit_test(a_line_is_cut_visibly_and_stays_json),
        cmocka_unit_test(a_line_about_a_request_has_its_id_and_its_trace),
        cmocka_unit_test(a_request_without_trace_or_id_has_neither),
        cmocka_unit_test(no_bytes_make_a_line_that_is_not_json),
        cmocka_unit_test(for_people_a_line_is_text),
    };
    return cmocka_run_group_tests(tests, capture, NULL);
}
