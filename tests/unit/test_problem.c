/* Errors: in which format they come, and what they say. */
#include "errors.h"

#include "core/handler.h"
#include "core/target.h"

#include <stdlib.h>
#include <unistd.h>

TEST(an_error_comes_in_the_format_that_the_client_prefers)
{
    static const struct form cases[] = {
        {__LINE__, "/nothing", NULL, TEXT},
        {__LINE__, "/nothing", "image/png", TEXT},
        {__LINE__, "/nothing", "text/html", HTML},
        {__LINE__, "/nothing", "application/json", PROBLEM},
        {__LINE__, "/nothing", "application/problem+json", PROBLEM},
        {__LINE__, "/nothing?format=xml", "text/html", HTML},
        {__LINE__, "/nothing?formats=json", "text/html", HTML},
        {__LINE__, "/?format=xml&%FF", "text/html", HTML},
        {__LINE__, "", "text/html", HTML},
    };
    check_forms(TABLE(cases), "Accept");
}

TEST(an_error_comes_in_the_format_that_the_query_asks_for)
{
    static const struct form cases[] = {
        {__LINE__, "/nothing?format=text", "text/html", TEXT},
        {__LINE__, "/nothing?format=html", "text/plain", HTML},
        {__LINE__, "/nothing?format=json", "text/html", PROBLEM},
        {__LINE__, "/nothing?a=b&format=html", "text/plain", HTML},
        {__LINE__, "/?format=json&name=%FF", "text/html", PROBLEM},
        {__LINE__, "/?name=%FF&format=json", "text/html", PROBLEM},
        {__LINE__, "/%FF?format=json", "text/html", PROBLEM},
        {__LINE__, "/?format=json&format=html", "text/html", PROBLEM},
    };
    check_forms(TABLE(cases), ABSENT);
}

TEST(a_target_that_cannot_be_taken_apart_is_a_bad_request)
{
    static const char percent[] =
        "The path has a '%' that is not followed by two hexadecimal digits.";
    static const struct bad cases[] = {
        {__LINE__, "", "The request has no target."},
        {__LINE__, "/%4", percent},
        {__LINE__, "/nothing%4", percent},
        {__LINE__, "/health%4", percent},
        {__LINE__, "/%00", "The path has a NUL character."},
        {__LINE__, "/?name=%FF", "The query parameter \"name\" is not valid UTF-8."},
        {__LINE__, "/?name=%0d%0aX:y", "The query parameter \"name\" has a control character."},
        {__LINE__, "/?a&%00", "The name of query parameter 2 has a NUL character."},
        {__LINE__, "/?a&b&c&d&e&f&g&h&i&j&k&l&m&n&o&p&q",
         "The request has more than 16 parameters."},
        {__LINE__, "/?<b>\"&=%FF", "The query parameter \"\" is not valid UTF-8."},
        {__LINE__, "/?<b>'\"=%FF", "The query parameter \"<b>'\"\" is not valid UTF-8."},
    };
    check_bad(TABLE(cases));
}

TEST(a_target_of_more_than_8192_bytes_is_too_long)
{
    check_error(__LINE__, (struct request){.method = "GET", .target = repeated("/", 8193)}, 414,
                "URI Too Long", "The request target is longer than 8192 bytes.");
    const struct answer *answer = get(__LINE__, repeated("/", 8192), NULL);
    assert_string_equal(field(answer, "Status"), "404 Not Found");
}

/* A query out of well-formed, ill-formed, repeated and long pieces, with format=json or without. */
static const char *random_target(bool with_format)
{
    static const char *const pieces[] = {
        "%",   "%zz", "%FF", "%00",    "name=%FF",       "name=Ada",   "name=",
        "a=b", "",    "=",   "format", "format=",        "format=xml", "format=%FF",
        "+",   "#",   "?",   "\x01",   "name=%E2%80%AE", "\"<>"};
    static const char *const paths[] = {"/", "/health", "/nothing", "/%FF", "x", "/%"};
    static char target[TARGET_MAX * 2];
    struct text text = text_in(target, sizeof(target));
    const int count = rand() % 24, place = rand() % (count + 1);
    text_add(&text, paths[(size_t)rand() % LENGTH(paths)]);
    for (int i = 0; i <= count; i++) {
        text_add(&text, i == 0 ? "?" : "&");
        if (with_format && i == place)
            text_add(&text, rand() % 2 ? "format=json" : "f%6Frmat=js%6fn");
        else
            text_add(&text, pieces[(size_t)rand() % LENGTH(pieces)]);
    }
    if (rand() % 16 == 0) {
        text_add(&text, "&");
        text_add(&text, repeated("x", TARGET_MAX));
    }
    return target;
}

/* No seed is told: the message holds the target that fails. */
TEST(the_form_of_an_error_does_not_depend_on_what_the_error_is)
{
    static const char *const verbs[] = {"GET", "GET", "OPTIONS", "POST", "BREW", ""};
    srand((unsigned)getpid());
    for (int i = 0; i < 20000; i++) {
        const bool with_format = i % 2;
        const struct request request = {.method = verbs[(size_t)rand() % LENGTH(verbs)],
                                        .target = random_target(with_format),
                                        .accept = "text/html",
                                        .body_length = rand() % 16 == 0 ? BODY_MAX + 1 : 0};
        const struct answer *answer = ask(__LINE__, &test_settings, &request);
        if (field(answer, "Status")[0] < '4')
            continue;
        same_string(__LINE__, request.target, with_format ? PROBLEM : HTML,
                    field(answer, "Content-Type"));
        same_string(__LINE__, request.target, with_format ? ABSENT : "Accept",
                    field(answer, "Vary"));
    }
}

TEST(the_largest_possible_error_fits)
{
    static const char *const widest[] = {"\"", "<", "\\", "\xF4\x8F\xBF\xBD"};
    static const char *const forms[] = {"/?%s", "/?%s=%%FF"};
    static const char *const details[] = {
        "There is no query parameter \"%s\", only name, lang and format.",
        "The query parameter \"%s\" is not valid UTF-8."};
    for (size_t i = 0; i < LENGTH(widest) * LENGTH(forms); i++) {
        const char *name = repeated(widest[i / LENGTH(forms)], 32);
        char target[256], detail[512];
        snprintf(target, sizeof(target), forms[i % LENGTH(forms)], name);
        snprintf(detail, sizeof(detail), details[i % LENGTH(forms)], name);
        check_error(__LINE__, (struct request){.method = "GET", .target = target}, 400,
                    "Bad Request", detail);
    }
}

/* No detail of a fault, whatever it holds, makes a response too large. */
TEST(an_error_of_any_detail_fits)
{
    static const char *const formats[] = {"text/plain", "text/html", "application/json"};
    struct fault fault;
    fault_set(&fault, 405, "%s", repeated("\"", sizeof(fault.detail)));
    for (size_t i = 0; i < LENGTH(formats); i++) {
        const struct request request = {.method = "GET", .target = "/", .accept = formats[i]};
        const struct context context = {
            .settings = &test_settings, .request = &request, .requested = FORMAT_NONE};
        struct response response;
        response_init(&response);
        response.route = &routes[0];
        problem(&context, &response, fault.status, fault.detail);
        response.tells_methods = true;
        assert_false(response.body.overflowed);
        char *bytes = walled(__LINE__, RESPONSE_MAX);
        assert_true(response_print(&response, bytes, RESPONSE_MAX) > 0);
    }
}

TEST(an_error_quotes_the_id_of_its_request)
{
    static const struct {
        int line;
        const char *id, *accept, *end;
    } cases[] = {
        {__LINE__, "0123abcd", NULL, ".\nRequest: 0123abcd\n"},
        {__LINE__, "0123abcd", "text/html",
         "<p>Request: <code>0123abcd</code></p>\n</footer>\n</html>\n"},
        {__LINE__, "0123abcd", "application/json", ",\"request_id\":\"0123abcd\"}\n"},
        {__LINE__, NULL, NULL, "at /.\n"},
        {__LINE__, "<b>01234", "text/html", "</main>\n<footer>\n</footer>\n</html>\n"},
        {__LINE__, "\"012345", "application/json", "at /.\"}\n"},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        const struct request request = {.method = "GET",
                                        .target = "/nothing",
                                        .accept = cases[i].accept,
                                        .request_id = cases[i].id};
        const char *body = ask(cases[i].line, &test_settings, &request)->body;
        const size_t length = strlen(body), end = strlen(cases[i].end);
        same_string(cases[i].line, cases[i].id, cases[i].end,
                    length > end ? body + length - end : body);
    }
}

TEST(each_status_has_its_reason_phrase)
{
    static const struct {
        int line, status;
        const char *phrase;
    } cases[] = {
        {__LINE__, 200, "OK"},
        {__LINE__, 204, "No Content"},
        {__LINE__, 304, "Not Modified"},
        {__LINE__, 400, "Bad Request"},
        {__LINE__, 404, "Not Found"},
        {__LINE__, 405, "Method Not Allowed"},
        {__LINE__, 406, "Not Acceptable"},
        {__LINE__, 412, "Precondition Failed"},
        {__LINE__, 413, "Content Too Large"},
        {__LINE__, 414, "URI Too Long"},
        {__LINE__, 500, "Internal Server Error"},
        {__LINE__, 501, "Not Implemented"},
        {__LINE__, 502, "Bad Gateway"},
        {__LINE__, 503, "Service Unavailable"},
    };
    for (size_t i = 0; i < LENGTH(cases); i++)
        same_string(cases[i].line, "", cases[i].phrase, reason_phrase(cases[i].status));
    assert_true(strlen(reason_phrase(299)) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_error_comes_in_the_format_that_the_client_prefers),
        cmocka_unit_test(an_error_comes_in_the_format_that_the_query_asks_for),
        cmocka_unit_test(a_target_that_cannot_be_taken_apart_is_a_bad_request),
        cmocka_unit_test(a_target_of_more_than_8192_bytes_is_too_long),
        cmocka_unit_test(the_form_of_an_error_does_not_depend_on_what_the_error_is),
        cmocka_unit_test(the_largest_possible_error_fits),
        cmocka_unit_test(an_error_of_any_detail_fits),
        cmocka_unit_test(an_error_quotes_the_id_of_its_request),
        cmocka_unit_test(each_status_has_its_reason_phrase),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
