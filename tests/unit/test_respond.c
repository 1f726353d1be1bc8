/* Whole requests: what goes in is what a web server tells, what comes out is a CGI response. */
#include "cases.h"

#include "core/handler.h"
#include "core/respond.h"
#include "core/target.h"
#include "core/text.h"
#include "core/version.h"

#include <stdlib.h>
#include <unistd.h>

#define TEXT "text/plain; charset=utf-8"
#define HTML "text/html; charset=utf-8"
#define JSON "application/json; charset=utf-8"
#define PROBLEM "application/problem+json; charset=utf-8"
#define KEPT "public, max-age=1, stale-while-revalidate=9, stale-if-error=9"
#define ABSENT "(absent)"

static const struct settings defaults = {.workers = 2};

struct answer {
    char head[RESPONSE_MAX + 1]; /* up to and with the empty line */
    char body[RESPONSE_MAX + 1];
};

/* The value of a field, ABSENT where there is none. Holds until the fourth call from here. */
static const char *field(const struct answer *answer, const char *name)
{
    static char values[4][256];
    static unsigned calls;
    char *value = values[calls++ % LENGTH(values)];
    const size_t length = strlen(name);
    for (const char *line = answer->head; *line; line = strstr(line, "\r\n") + 2) {
        if (strncmp(line, name, length) != 0 || strncmp(line + length, ": ", 2) != 0)
            continue;
        line += length + 2;
        snprintf(value, sizeof(values[0]), "%.*s", (int)strcspn(line, "\r"), line);
        return value;
    }
    return ABSENT;
}

/* Each line a name and a value of printable ASCII, no name twice, an empty line at the end. */
static void check_fields(int line, const char *sent, const struct answer *answer)
{
    const char *cursor = answer->head;
    holds(line, sent, "Status first", strncmp(cursor, "Status: ", 8) == 0);
    while (strncmp(cursor, "\r\n", 2) != 0) {
        char name[64];
        snprintf(name, sizeof(name), "\n%.*s:", (int)strcspn(cursor, ":\r\n"), cursor);
        const char *value = cursor + strlen(name) - 1;
        const char *end = value + strcspn(value, "\r\n");
        holds(line, sent, "name and value", value[-1] == ':' && value[0] == ' ' && end - value > 1);
        holds(line, sent, "a name stands once", !strstr(end, name));
        for (const char *byte = cursor; byte < end; byte++)
            holds(line, sent, "printable ASCII", *byte >= ' ' && *byte <= '~');
        holds(line, sent, "CRLF", strncmp(end, "\r\n", 2) == 0);
        cursor = end + 2;
    }
}

/* What holds for every response: RFC 9110 sections 6.4.1, 8.6, 9.3.2 and 15.4.5. */
static void check_content(int line, const struct request *request, const struct answer *answer)
{
    const char *sent = request->target;
    const char *status = field(answer, "Status");
    const bool no_content = strncmp(status, "204", 3) == 0, stored = strncmp(status, "304", 3) == 0;
    const bool head = strcmp(request->method, "HEAD") == 0;
    char length[24];
    snprintf(length, sizeof(length), "%zu", strlen(answer->body));
    if (no_content || stored || head)
        same_string(line, sent, "", answer->body);
    if (no_content || stored) {
        same_string(line, sent, ABSENT, field(answer, "Content-Length"));
        same_string(line, sent, ABSENT, field(answer, "Content-Type"));
    } else if (!head) {
        same_string(line, sent, length, field(answer, "Content-Length"));
        holds(line, sent, "a line at the end", answer->body[strlen(answer->body) - 1] == '\n');
    }
}

/* The answer to request, once it is checked for what holds for every response. Holds until the
 * fourth call from here. */
static const struct answer *ask(int line, const struct settings *settings,
                                const struct request *request)
{
    static struct answer answers[4];
    static unsigned calls;
    struct answer *answer = &answers[calls++ % LENGTH(answers)];
    static struct response response;
    memset(&response, 0xA5, sizeof(response)); /* respond() sets the whole of it */
    respond(settings, request, &response);
    char *bytes = walled(line, RESPONSE_MAX);
    const size_t length = response_print(&response, bytes, RESPONSE_MAX);
    holds(line, request->target, "1 to RESPONSE_MAX bytes", length > 0 && length <= RESPONSE_MAX);
    holds(line, request->target, "no NUL", !memchr(bytes, '\0', length));
    const char *end = memmem(bytes, length, "\r\n\r\n", 4);
    holds(line, request->target, "an empty line behind the fields", end != NULL);
    const size_t head = (size_t)(end + 4 - bytes);
    snprintf(answer->head, sizeof(answer->head), "%.*s", (int)head, bytes);
    snprintf(answer->body, sizeof(answer->body), "%.*s", (int)(length - head), bytes + head);
    check_fields(line, request->target, answer);
    check_content(line, request, answer);
    return answer;
}

static const struct answer *get(int line, const char *target, const char *accept)
{
    const struct request request = {.method = "GET", .target = target, .accept = accept};
    return ask(line, &defaults, &request);
}

/* --- Routes and methods --------------------------------------------------------------------- */

struct got {
    int line;
    const char *target, *accept, *type, *body;
};

static void check_got(const struct got cases[], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct answer *answer = get(cases[i].line, cases[i].target, cases[i].accept);
        same_string(cases[i].line, cases[i].target, "200 OK", field(answer, "Status"));
        same_string(cases[i].line, cases[i].target, cases[i].type, field(answer, "Content-Type"));
        same_string(cases[i].line, cases[i].target, cases[i].body, answer->body);
    }
}

#define WORLD_JSON "{\"greeting\":\"Hello World\",\"name\":\"World\"}\n"
#define HEALTH_JSON                                                                                \
    "{\"status\":\"ok\",\"checked\":\"A worker took this request and answered it. It needs "       \
    "nothing "                                                                                     \
    "else.\"}\n"
#define ADA_JSON "{\"greeting\":\"Hello Ada\",\"name\":\"Ada\"}\n"

TEST(the_greeting_is_for_whom_and_in_the_format_that_was_asked_for)
{
    static const struct got cases[] = {
        {__LINE__, "/", NULL, TEXT, "Hello World\n"},
        {__LINE__, "/", "application/json", JSON, WORLD_JSON},
        {__LINE__, "/?name=Ada", NULL, TEXT, "Hello Ada\n"},
        {__LINE__, "/?name=Ada", "application/json", JSON, ADA_JSON},
        {__LINE__, "/?name=Ada+L.&format=text", "text/html", TEXT, "Hello Ada L.\n"},
        {__LINE__, "/?format=text&name=%41da", "text/html", TEXT, "Hello Ada\n"},
        {__LINE__, "/?format=json&name=Ada", "text/html", JSON, ADA_JSON},
        {__LINE__, "?name=Ada", NULL, TEXT, "Hello Ada\n"},
    };
    check_got(TABLE(cases));
}

TEST(a_request_is_routed_by_its_decoded_path)
{
    static const struct got cases[] = {
        {__LINE__, "/health", NULL, TEXT, "ok\n"},
        {__LINE__, "/health", "text/html", TEXT, "ok\n"},
        {__LINE__, "/health?format=json", NULL, JSON, HEALTH_JSON},
        {__LINE__, "/health", "application/json", JSON, HEALTH_JSON},
        {__LINE__, "/ready", NULL, TEXT, "ready\n"},
        {__LINE__, "/health?x=y", "image/png", TEXT, "ok\n"},
        {__LINE__, "/ready?format=json", "application/json", TEXT, "ready\n"},
        {__LINE__, "/%68ealth", NULL, TEXT, "ok\n"},
        {__LINE__, "http://example.org/health", NULL, TEXT, "ok\n"},
        {__LINE__, "http://example.org", NULL, TEXT, "Hello World\n"},
    };
    check_got(TABLE(cases));
}

/* All but the first, which takes a POST. */
static const char *const resources[] = {"/greetings/Ada", "/health", "/ready", "/version"};

TEST(each_route_answers_get_head_and_options)
{
    static const struct {
        int line;
        const char *method, *status, *allow;
    } cases[] = {
        {__LINE__, "GET", "200 OK", ABSENT},
        {__LINE__, "HEAD", "200 OK", ABSENT},
        {__LINE__, "OPTIONS", "204 No Content", "GET, HEAD, OPTIONS"},
    };
    for (size_t i = 0; i < LENGTH(cases) * LENGTH(resources); i++) {
        const size_t one = i / LENGTH(resources);
        const struct request request = {.method = cases[one].method,
                                        .target = resources[i % LENGTH(resources)]};
        const struct answer *answer = ask(cases[one].line, &defaults, &request);
        same_string(cases[one].line, request.target, cases[one].status, field(answer, "Status"));
        same_string(cases[one].line, request.target, cases[one].allow, field(answer, "Allow"));
    }
}

TEST(options_has_neither_content_nor_tag)
{
    const struct request request = {.method = "OPTIONS", .target = "/", .if_none_match = "*"};
    const struct answer *answer = ask(__LINE__, &defaults, &request);
    assert_string_equal(field(answer, "Status"), "204 No Content");
    assert_string_equal(field(answer, "ETag"), ABSENT);
    assert_string_equal(field(answer, "Vary"), ABSENT);
    assert_string_equal(field(answer, "Cache-Control"), "no-store");
}

TEST(a_head_has_the_fields_of_a_get)
{
    static const char *const targets[] = {
        "/",      "/?name=Ada", "/?format=json", "/?format=xml", "/health",
        "/ready", "/version",   "/nothing",      "/%zz",         ""};
    static const char *const accepts[] = {NULL, "text/html", "application/json", "image/png"};
    for (size_t i = 0; i < LENGTH(targets) * LENGTH(accepts); i++) {
        const char *target = targets[i / LENGTH(accepts)];
        const char *accept = accepts[i % LENGTH(accepts)];
        const struct request head = {.method = "HEAD", .target = target, .accept = accept};
        const struct answer *answer = ask(__LINE__, &defaults, &head);
        same_string(__LINE__, target, get(__LINE__, target, accept)->head, answer->head);
    }
}

/* --- Errors --------------------------------------------------------------------------------- */

struct form {
    int line;
    const char *target, *accept, *type;
};

static void check_forms(const struct form cases[], size_t count, const char *vary)
{
    for (size_t i = 0; i < count; i++) {
        const struct answer *answer = get(cases[i].line, cases[i].target, cases[i].accept);
        same_string(cases[i].line, cases[i].target, cases[i].type, field(answer, "Content-Type"));
        same_string(cases[i].line, cases[i].target, vary, field(answer, "Vary"));
    }
}

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

static void check_member(int line, const json_t *json, const char *name, const char *expected)
{
    same_string(line, name, expected, json_string_value(json_object_get(json, name)));
}

/* RFC 9457: the four members, and nothing else. */
static void check_problem_details(int line, const struct answer *answer, int status,
                                  const char *title, const char *detail)
{
    json_t *json = json_loads(answer->body, JSON_REJECT_DUPLICATES, NULL);
    holds(line, answer->body, "JSON", json_is_object(json));
    check_member(line, json, "type", "about:blank");
    check_member(line, json, "title", title);
    check_member(line, json, "detail", detail);
    same_number(line, answer->body, (uintmax_t)status,
                (uintmax_t)json_integer_value(json_object_get(json, "status")));
    same_number(line, answer->body, 4, json_object_size(json));
    json_decref(json);
}

static void check_page(int line, const char *page, const char *title, const char *part)
{
    holds(line, page, "a page of HTML in UTF-8",
          strncmp(page, "<!doctype html>\n<html", 21) == 0 &&
              strstr(page, "<meta charset=\"utf-8\">"));
    holds(line, page, title, strstr(page, title));
    holds(line, page, part, strstr(page, part));
    same_string(line, page, "</html>\n", strstr(page, "</html>"));
}

static void check_error_page(int line, const struct answer *answer, int status, const char *title,
                             const char *detail)
{
    char start[128], part[2048], escaped[1024];
    struct text text = text_in(escaped, sizeof(escaped));
    text_add_html(&text, detail);
    snprintf(start, sizeof(start), "<title>%d %s</title>\n", status, title);
    snprintf(part, sizeof(part), "<h1><b>%d</b> %s</h1>\n<p>%s</p>\n", status, title, escaped);
    check_page(line, answer->body, start, part);
}

static void check_error_text(int line, const struct answer *answer, int status, const char *title,
                             const char *detail)
{
    char expected[1024];
    snprintf(expected, sizeof(expected), "%d %s\n%s\n", status, title, detail);
    same_string(line, "", expected, answer->body);
}

/* That request gets the error in each of the three formats. */
static void check_error(int line, struct request request, int status, const char *title,
                        const char *detail)
{
    static const struct {
        const char *accept, *type;
        void (*check)(int line, const struct answer *answer, int status, const char *title,
                      const char *detail);
    } forms[] = {{"text/plain", TEXT, check_error_text},
                 {"text/html", HTML, check_error_page},
                 {"application/json", PROBLEM, check_problem_details}};
    for (size_t i = 0; i < LENGTH(forms); i++) {
        char expected[64];
        request.accept = forms[i].accept;
        const struct answer *answer = ask(line, &defaults, &request);
        snprintf(expected, sizeof(expected), "%d %s", status, title);
        same_string(line, request.target, expected, field(answer, "Status"));
        same_string(line, request.target, forms[i].type, field(answer, "Content-Type"));
        same_string(line, request.target, "no-store", field(answer, "Cache-Control"));
        same_string(line, request.target, ABSENT, field(answer, "ETag"));
        same_string(line, request.target, "Accept", field(answer, "Vary"));
        forms[i].check(line, answer, status, title, detail);
    }
}

struct bad {
    int line;
    const char *target, *detail;
};

static void check_bad(const struct bad cases[], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct request request = {.method = "GET", .target = cases[i].target};
        check_error(cases[i].line, request, 400, "Bad Request", cases[i].detail);
    }
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

TEST(a_parameter_that_the_greeting_does_not_take_is_a_bad_request)
{
    static const struct bad cases[] = {
        {__LINE__, "/?nom=Ada", "There is no query parameter \"nom\", only name, lang and format."},
        {__LINE__, "/?Name=Ada",
         "There is no query parameter \"Name\", only name, lang and format."},
        {__LINE__, "/?names", "There is no query parameter \"names\", only name, lang and format."},
        {__LINE__, "/?=Ada", "There is no query parameter \"\", only name, lang and format."},
        {__LINE__,
         "/?name=Ada&a=", "There is no query parameter \"a\", only name, lang and format."},
        {__LINE__, "/?a=&name=Ada",
         "There is no query parameter \"a\", only name, lang and format."},
        {__LINE__, "/?%3Cb%3E&amp;",
         "There is no query parameter \"<b>\", only name, lang and format."},
        {__LINE__, "/?%3Cb%3E", "There is no query parameter \"<b>\", only name, lang and format."},
        {__LINE__, "/?%22%5C", "There is no query parameter \"\"\\\", only name, lang and format."},
        {__LINE__, "/?an-over-long-name-is-not-quoted--",
         "There is no query parameter \"(over-long name)\", only name, lang and format."},
    };
    check_bad(TABLE(cases));
}

TEST(a_parameter_that_is_repeated_empty_or_unknown_is_a_bad_request)
{
    static const struct bad cases[] = {
        {__LINE__, "/?name=Ada&name=Eve", "The query parameter \"name\" is given more than once."},
        {__LINE__, "/?name=Ada&name=Ada", "The query parameter \"name\" is given more than once."},
        {__LINE__, "/?name=&name=Ada", "The query parameter \"name\" is empty."},
        {__LINE__, "/?name=", "The query parameter \"name\" is empty."},
        {__LINE__, "/?name", "The query parameter \"name\" is empty."},
        {__LINE__, "/?name=+", "The query parameter \"name\" is blank."},
        {__LINE__, "/?name=%E2%80%8B%20", "The query parameter \"name\" is blank."},
        {__LINE__, "/?format=xml",
         "The query parameter \"format\" is none of text, html and json."},
        {__LINE__, "/?format=", "The query parameter \"format\" is none of text, html and json."},
        {__LINE__, "/?format=JSON",
         "The query parameter \"format\" is none of text, html and json."},
        {__LINE__, "/?format=json%00", "The query parameter \"format\" has a NUL character."},
    };
    check_bad(TABLE(cases));
}

TEST(a_path_that_is_no_route_is_not_found)
{
    static const char *const targets[] = {"/nothing",  "/health/",     "//",         "/Health",
                                          "/healthy",  "/heal",        "/health%20", "/%2Fhealth",
                                          "/./health", "/%3Fname=Ada", "/health;x"};
    static const char *const verbs[] = {"GET", "POST", "OPTIONS"};
    for (size_t i = 0; i < LENGTH(targets) * LENGTH(verbs); i++) {
        const struct request request = {.method = verbs[i % LENGTH(verbs)],
                                        .target = targets[i / LENGTH(verbs)]};
        check_error(__LINE__, request, 404, "Not Found",
                    "There is nothing here. The greeting is at /.");
        same_string(__LINE__, request.target, ABSENT,
                    field(ask(__LINE__, &defaults, &request), "Allow"));
    }
}

TEST(a_method_of_http_is_not_allowed_where_nothing_can_be_done_by_it)
{
    static const char *const verbs[] = {"POST", "PUT", "DELETE", "PATCH", "TRACE", "CONNECT"};
    for (size_t i = 0; i < LENGTH(verbs) * LENGTH(resources); i++) {
        const struct request request = {.method = verbs[i / LENGTH(resources)],
                                        .target = resources[i % LENGTH(resources)]};
        check_error(__LINE__, request, 405, "Method Not Allowed",
                    "This resource allows GET, HEAD and OPTIONS.");
        same_string(__LINE__, request.method, "GET, HEAD, OPTIONS",
                    field(ask(__LINE__, &defaults, &request), "Allow"));
    }
}

TEST(a_method_that_is_not_known_is_so_for_every_path)
{
    static const struct {
        int line;
        const char *method;
        int status;
        const char *title, *detail;
    } cases[] = {
        {__LINE__, "BREW", 501, "Not Implemented", "The method is not known here."},
        {__LINE__, "get", 501, "Not Implemented", "The method is not known here."},
        {__LINE__, "GETS", 501, "Not Implemented", "The method is not known here."},
        {__LINE__, "PROPFIND", 501, "Not Implemented", "The method is not known here."},
        {__LINE__, "", 400, "Bad Request", "The method is no token."},
        {__LINE__, "GET ", 400, "Bad Request", "The method is no token."},
        {__LINE__, "G\xC3\x89T", 400, "Bad Request", "The method is no token."},
    };
    static const char *const targets[] = {"/", "/health", "/nothing"};
    for (size_t i = 0; i < LENGTH(cases) * LENGTH(targets); i++) {
        const size_t one = i / LENGTH(targets);
        const struct request request = {.method = cases[one].method,
                                        .target = targets[i % LENGTH(targets)]};
        check_error(cases[one].line, request, cases[one].status, cases[one].title,
                    cases[one].detail);
        same_string(cases[one].line, request.method, ABSENT,
                    field(ask(cases[one].line, &defaults, &request), "Allow"));
    }
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
    text_add(&text, paths[(size_t)rand() % LENGTH(resources)]);
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
        const struct answer *answer = ask(__LINE__, &defaults, &request);
        if (field(answer, "Status")[0] < '4')
            continue;
        same_string(__LINE__, request.target, with_format ? PROBLEM : HTML,
                    field(answer, "Content-Type"));
        same_string(__LINE__, request.target, with_format ? ABSENT : "Accept",
                    field(answer, "Vary"));
    }
}

TEST(a_format_that_is_given_twice_is_a_bad_request)
{
    const struct answer *answer = get(__LINE__, "/?format=json&format=json", NULL);
    assert_string_equal(field(answer, "Content-Type"), PROBLEM);
    check_problem_details(__LINE__, answer, 400, "Bad Request",
                          "The query parameter \"format\" is given more than once.");
}

TEST(nothing_acceptable_says_what_there_is)
{
    static const char detail[] = "This comes as text/plain, text/html and application/json; "
                                 "?format= chooses text, html and json whatever Accept says.";
    static const char *const accepts[] = {"image/png", "text/*;q=0",
                                          "application/problem+json;q=0"};
    for (size_t i = 0; i < LENGTH(accepts); i++) {
        const struct answer *answer = get(__LINE__, "/?name=Ada", accepts[i]);
        same_string(__LINE__, accepts[i], "406 Not Acceptable", field(answer, "Status"));
        same_string(__LINE__, accepts[i], "Accept", field(answer, "Vary"));
        check_error_text(__LINE__, answer, 406, "Not Acceptable", detail);
    }
    const struct answer *answer = get(__LINE__, "/", "application/problem+json");
    check_problem_details(__LINE__, answer, 406, "Not Acceptable", detail);
}

TEST(a_requested_format_is_sent_whatever_is_acceptable)
{
    static const struct form cases[] = {
        {__LINE__, "/?format=text", "image/png", TEXT},
        {__LINE__, "/?format=text", "text/html", TEXT},
        {__LINE__, "/?format=html", "text/*;q=0", HTML},
        {__LINE__, "/?format=html", NULL, HTML},
        {__LINE__, "/?format=json", "text/html", JSON},
        {__LINE__, "/?format=json", "*/*;q=0", JSON},
    };
    check_forms(TABLE(cases), "Accept-Language");
}

TEST(a_target_of_more_than_8192_bytes_is_too_long)
{
    check_error(__LINE__, (struct request){.method = "GET", .target = repeated("/", 8193)}, 414,
                "URI Too Long", "The request target is longer than 8192 bytes.");
    const struct answer *answer = get(__LINE__, repeated("/", 8192), NULL);
    assert_string_equal(field(answer, "Status"), "404 Not Found");
}

/* --- Bodies --------------------------------------------------------------------------------- */

struct body {
    int line;
    const char *content_length;
    size_t body_length;
};

static struct request request_with(const struct body *body)
{
    return (struct request){.method = "GET",
                            .target = "/",
                            .content_length = body->content_length,
                            .body_length = body->body_length};
}

TEST(a_body_means_nothing_while_it_is_as_long_as_declared)
{
    static const struct body cases[] = {
        {__LINE__, NULL, 0}, {__LINE__, "", 0},          {__LINE__, "0", 0},
        {__LINE__, "5", 5},  {__LINE__, "005", 5},       {__LINE__, NULL, 5},
        {__LINE__, "", 5},   {__LINE__, NULL, BODY_MAX}, {__LINE__, "1048576", BODY_MAX},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        const struct request request = request_with(&cases[i]);
        const struct answer *answer = ask(cases[i].line, &defaults, &request);
        same_string(cases[i].line, request.content_length, "200 OK", field(answer, "Status"));
    }
}

TEST(a_content_length_that_is_no_number_is_a_bad_request)
{
    static const struct body cases[] = {
        {__LINE__, "x", 0},  {__LINE__, "-5", 5},  {__LINE__, "+5", 5},  {__LINE__, " 5", 5},
        {__LINE__, "5 ", 5}, {__LINE__, "5,5", 5}, {__LINE__, "0x5", 5}, {__LINE__, "5.", 5},
    };
    for (size_t i = 0; i < LENGTH(cases); i++)
        check_error(cases[i].line, request_with(&cases[i]), 400, "Bad Request",
                    "Content-Length is not a number.");
}

TEST(a_body_that_is_shorter_or_longer_than_declared_is_a_bad_request)
{
    static const struct body cases[] = {
        {__LINE__, "4", 5},
        {__LINE__, "6", 5},
        {__LINE__, "5", 0},
        {__LINE__, "0", 5},
        {__LINE__, "4294967301", 5},
        {__LINE__, "18446744073709551616", 0},
        {__LINE__, "18446744073709551621", 5},
        {__LINE__, "99999999999999999999999999", 5},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        char detail[128];
        snprintf(detail, sizeof(detail), "The body has %zu bytes, Content-Length says otherwise.",
                 cases[i].body_length);
        check_error(cases[i].line, request_with(&cases[i]), 400, "Bad Request", detail);
    }
}

TEST(a_body_of_more_than_1_mib_is_too_large)
{
    static const char *const verbs[] = {"GET", "POST", "OPTIONS"};
    for (size_t i = 0; i < LENGTH(verbs); i++) {
        const struct request request = {.method = verbs[i],
                                        .target = "/",
                                        .content_length = "1048577",
                                        .body_length = BODY_MAX + 1};
        check_error(__LINE__, request, 413, "Content Too Large",
                    "The body is longer than 1048576 bytes.");
    }
}

/* --- Names ---------------------------------------------------------------------------------- */

/* A target that asks for a greeting by that name, with every byte of it percent-encoded. */
static const char *target_for(const char *name, const char *format)
{
    static char target[2048];
    int length = snprintf(target, sizeof(target), "/?format=%s&name=", format);
    for (; *name; name++)
        length += snprintf(target + length, sizeof(target) - (size_t)length, "%%%02X",
                           (unsigned char)*name);
    return target;
}

/* That the name is greeted in each format, where escaped is how the page has to write it. */
static void check_name(int line, const char *name, const char *escaped)
{
    char salutation[512], title[2048], part[2048];
    snprintf(salutation, sizeof(salutation), "Hello %s\n", name);
    same_string(line, name, salutation, get(line, target_for(name, "text"), NULL)->body);

    snprintf(title, sizeof(title), "<title>Hello %s</title>\n", escaped);
    snprintf(part, sizeof(part), ">Hello <bdi>%s</bdi></h1>\n", escaped);
    check_page(line, get(line, target_for(name, "html"), NULL)->body, title, part);

    json_t *json = json_loads(get(line, target_for(name, "json"), NULL)->body, 0, NULL);
    holds(line, name, "JSON", json_is_object(json));
    salutation[strlen(salutation) - 1] = '\0';
    check_member(line, json, "greeting", salutation);
    check_member(line, json, "name", name);
    same_number(line, name, 2, json_object_size(json));
    json_decref(json);
}

struct name {
    int line;
    const char *name, *escaped;
};

TEST(names_of_every_script_are_greeted)
{
    static const struct name cases[] = {
        {__LINE__, "Ada", "Ada"},
        {__LINE__, "Zo\xC3\xAB", "Zo\xC3\xAB"},
        {__LINE__, "\xE4\xB8\x96\xE7\x95\x8C", "\xE4\xB8\x96\xE7\x95\x8C"},
        {__LINE__, "\xF0\x9F\x91\x8B\xF0\x9F\x8F\xBD", "\xF0\x9F\x91\x8B\xF0\x9F\x8F\xBD"},
        {__LINE__, "\xD7\xA9\xD7\x9C\xD7\x95\xD7\x9D", "\xD7\xA9\xD7\x9C\xD7\x95\xD7\x9D"},
        {__LINE__, "e\xCC\x81", "e\xCC\x81"},
        {__LINE__, "\xEF\xBF\xBD\xF4\x8F\xBF\xBD", "\xEF\xBF\xBD\xF4\x8F\xBF\xBD"},
        {__LINE__, "\xE2\x80\xA8.", "\xE2\x80\xA8."},
        {__LINE__, " a", " a"},
    };
    for (size_t i = 0; i < LENGTH(cases); i++)
        check_name(cases[i].line, cases[i].name, cases[i].escaped);
}

TEST(a_hostile_name_stays_a_name)
{
    static const struct name cases[] = {
        {__LINE__, "<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"},
        {__LINE__, "</title></h1>", "&lt;/title&gt;&lt;/h1&gt;"},
        {__LINE__, "&lt;b&gt;", "&amp;lt;b&amp;gt;"},
        {__LINE__, "\" onload='x", "&quot; onload=&#39;x"},
        {__LINE__, "\",\"name\":\"", "&quot;,&quot;name&quot;:&quot;"},
        {__LINE__, "\\u0041\\\"\\", "\\u0041\\&quot;\\"},
        {__LINE__, "%s%n%99999d", "%s%n%99999d"},
        {__LINE__, "%41+%26&=;?#/", "%41+%26&amp;=;?#/"},
        {__LINE__, "]]><!--", "]]&gt;&lt;!--"},
        {__LINE__, "${x} {{x}} <?x?>", "${x} {{x}} &lt;?x?&gt;"},
    };
    for (size_t i = 0; i < LENGTH(cases); i++)
        check_name(cases[i].line, cases[i].name, cases[i].escaped);
}

TEST(a_name_has_at_most_64_code_points)
{
    static const struct name cases[] = {
        {__LINE__, "a", "a"},
        {__LINE__, "\xC3\xA9", "\xC3\xA9"},
        {__LINE__, "\xE4\xB8\x96", "\xE4\xB8\x96"},
        {__LINE__, "\xF0\x9F\x91\x8B", "\xF0\x9F\x91\x8B"},
        {__LINE__, "\"", "&quot;"},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        char target[512];
        check_name(cases[i].line, repeated(cases[i].name, 64), repeated(cases[i].escaped, 64));
        snprintf(target, sizeof(target), "/?name=%s", repeated(cases[i].name, 65));
        check_error(cases[i].line, (struct request){.method = "GET", .target = target}, 400,
                    "Bad Request", "The query parameter \"name\" is longer than 64 characters.");
    }
}

static void check_greeted(int line, const char *target, const char *accept, const char *expected)
{
    const struct settings settings = {.greeting = "Gr\xC3\xBC\xC3\x9F Gott,", .name = "Wien & <x>"};
    const struct request request = {.method = "GET", .target = target, .accept = accept};
    const struct answer *answer = ask(line, &settings, &request);
    holds(line, answer->body, expected, strstr(answer->body, expected));
}

TEST(the_settings_choose_the_greeting_and_the_name_it_has_by_default)
{
    check_greeted(__LINE__, "/", NULL, "Gr\xC3\xBC\xC3\x9F Gott, Wien & <x>\n");
    check_greeted(__LINE__, "/", "text/html",
                  ">Gr\xC3\xBC\xC3\x9F Gott, <bdi>Wien &amp; &lt;x&gt;</bdi></h1>");
    check_greeted(__LINE__, "/?name=Ada", "application/json",
                  "{\"greeting\":\"Gr\xC3\xBC\xC3\x9F Gott, Ada\",\"name\":\"Ada\"}\n");
}

/* --- Caches --------------------------------------------------------------------------------- */

TEST(only_the_greeting_may_be_stored_and_by_name_only_privately)
{
    static const struct {
        int line;
        const char *target, *cache_control;
        bool tagged;
    } cases[] = {
        {__LINE__, "/", KEPT, true},
        {__LINE__, "/?format=json", KEPT, true},
        {__LINE__, "/?name=Ada", "private, no-cache", true},
        {__LINE__, "/?name=World", "private, no-cache", true},
        {__LINE__, "/?nom=Ada", "no-store", false},
        {__LINE__, "/health", "no-store", false},
        {__LINE__, "/ready", "no-store", false},
        {__LINE__, "/version", "no-store", false},
        {__LINE__, "/nothing", "no-store", false},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        const struct answer *answer = get(cases[i].line, cases[i].target, NULL);
        same_string(cases[i].line, cases[i].target, cases[i].cache_control,
                    field(answer, "Cache-Control"));
        holds(cases[i].line, cases[i].target, "an entity tag where it can be stored",
              (strcmp(field(answer, "ETag"), ABSENT) != 0) == cases[i].tagged);
    }
}

TEST(a_response_varies_only_where_a_field_chose_it)
{
    static const struct {
        int line;
        const char *target, *accept, *vary;
    } cases[] = {
        {__LINE__, "/", NULL, "Accept, Accept-Language"},
        {__LINE__, "/", "text/html", "Accept, Accept-Language"},
        {__LINE__, "/?name=Ada", "application/json", "Accept, Accept-Language"},
        {__LINE__, "/?format=json", "text/html", "Accept-Language"},
        {__LINE__, "/?lang=de", "text/html", "Accept"},
        {__LINE__, "/?lang=de&format=json", "text/html", ABSENT},
        {__LINE__, "/?name=Ada&format=text", NULL, "Accept-Language"},
        {__LINE__, "/health", "text/html", "Accept"},
        {__LINE__, "/health?format=json", "text/html", ABSENT},
        {__LINE__, "/ready", "text/html", ABSENT},
        {__LINE__, "/version", "text/html", ABSENT},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        const struct answer *answer = get(cases[i].line, cases[i].target, cases[i].accept);
        same_string(cases[i].line, cases[i].target, "200 OK", field(answer, "Status"));
        same_string(cases[i].line, cases[i].target, cases[i].vary, field(answer, "Vary"));
    }
}

TEST(each_representation_has_its_own_entity_tag)
{
    static const char *const targets[] = {"/?format=text",        "/?format=html",
                                          "/?format=json",        "/?name=A&format=text",
                                          "/?name=B&format=text", "/?name=A&format=json"};
    char tags[LENGTH(targets)][32];
    for (size_t i = 0; i < LENGTH(targets); i++) {
        strcpy(tags[i], field(get(__LINE__, targets[i], NULL), "ETag"));
        same_number(__LINE__, targets[i], strlen("\"0123456789abcdef\""), strlen(tags[i]));
        same_string(__LINE__, targets[i], tags[i], field(get(__LINE__, targets[i], NULL), "ETag"));
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(tags[i], tags[k]);
    }
    assert_string_equal(field(get(__LINE__, "/", NULL), "ETag"), tags[0]);
}

TEST(a_representation_that_the_client_has_is_not_sent_again)
{
    static const struct {
        int line;
        const char *method, *target, *list; /* the entity tag stands in for %s */
    } cases[] = {
        {__LINE__, "GET", "/", "%s"},
        {__LINE__, "GET", "/?name=Ada", "\"a,b\", W/%s"},
        {__LINE__, "GET", "/?format=json", "%s, \"a\""},
        {__LINE__, "HEAD", "/", "%s"},
        {__LINE__, "GET", "/", "*"},
        {__LINE__, "HEAD", "/?name=Ada&format=html", "*"},
    };
    static const char *const kept[] = {"ETag", "Vary", "Cache-Control"};
    for (size_t i = 0; i < LENGTH(cases); i++) {
        char list[128];
        const struct answer *stored = get(cases[i].line, cases[i].target, NULL);
        snprintf(list, sizeof(list), cases[i].list, field(stored, "ETag"));
        const struct request request = {
            .method = cases[i].method, .target = cases[i].target, .if_none_match = list};
        const struct answer *answer = ask(cases[i].line, &defaults, &request);
        same_string(cases[i].line, list, "304 Not Modified", field(answer, "Status"));
        for (size_t k = 0; k < LENGTH(kept); k++)
            same_string(cases[i].line, list, field(stored, kept[k]), field(answer, kept[k]));
    }
}

/* RFC 9110 section 13.2.2: the table of what each field says, and what comes of both. */
TEST(preconditions_are_judged_in_their_order)
{
    static const struct {
        int line;
        const char *method, *target, *if_match, *if_none_match, *status; /* %s: the entity tag */
    } cases[] = {
        {__LINE__, "GET", "/", NULL, NULL, "200 OK"},
        {__LINE__, "GET", "/", "", " ", "200 OK"},
        {__LINE__, "GET", "/", "%s", NULL, "200 OK"},
        {__LINE__, "GET", "/", "*", NULL, "200 OK"},
        {__LINE__, "GET", "/", "\"a\", %s", "\"a\"", "200 OK"},
        {__LINE__, "GET", "/", "W/%s", NULL, "412 Precondition Failed"},
        {__LINE__, "GET", "/", "\"a\"", NULL, "412 Precondition Failed"},
        {__LINE__, "GET", "/", ",", NULL, "412 Precondition Failed"},
        {__LINE__, "GET", "/", "a, %s", NULL, "412 Precondition Failed"},
        {__LINE__, "HEAD", "/", "\"a\"", NULL, "412 Precondition Failed"},
        {__LINE__, "GET", "/", "\"a\"", "%s", "412 Precondition Failed"},
        {__LINE__, "GET", "/", "%s", "%s", "304 Not Modified"},
        {__LINE__, "HEAD", "/", "%s", "W/%s", "304 Not Modified"},
        {__LINE__, "GET", "/", NULL, "%s, a", "200 OK"},
        {__LINE__, "GET", "/", NULL, "\"0123456789abcdef\"", "200 OK"},
        {__LINE__, "GET", "/health", NULL, "*", "304 Not Modified"},
        {__LINE__, "GET", "/health", "*", NULL, "200 OK"},
        {__LINE__, "GET", "/version", "\"a\"", NULL, "412 Precondition Failed"},
        {__LINE__, "GET", "/version", NULL, "\"a\"", "200 OK"},
        {__LINE__, "OPTIONS", "/", "\"a\"", "*", "204 No Content"},
        {__LINE__, "POST", "/", "\"a\"", "*", "200 OK"},
        {__LINE__, "PUT", "/", "\"a\"", "*", "405 Method Not Allowed"},
        {__LINE__, "BREW", "/", "\"a\"", "*", "501 Not Implemented"},
        {__LINE__, "GET", "/nothing", "\"a\"", "*", "404 Not Found"},
        {__LINE__, "GET", "/?name=", "\"a\"", "*", "400 Bad Request"},
        {__LINE__, "HEAD", "/?name=", "\"a\"", "*", "400 Bad Request"},
    };
    char tag[32], if_match[64], if_none_match[64];
    snprintf(tag, sizeof(tag), "%s", field(get(__LINE__, "/", NULL), "ETag"));
    for (size_t i = 0; i < LENGTH(cases); i++) {
        const char *fields[] = {cases[i].if_match, cases[i].if_none_match};
        snprintf(if_match, sizeof(if_match), fields[0] ? fields[0] : "", tag);
        snprintf(if_none_match, sizeof(if_none_match), fields[1] ? fields[1] : "", tag);
        const struct request request = {.method = cases[i].method,
                                        .target = cases[i].target,
                                        .if_match = fields[0] ? if_match : NULL,
                                        .if_none_match = fields[1] ? if_none_match : NULL};
        const struct answer *answer = ask(cases[i].line, &defaults, &request);
        same_string(cases[i].line, request.target, cases[i].status, field(answer, "Status"));
    }
}

TEST(a_precondition_that_fails_is_an_error_like_others)
{
    check_error(__LINE__, (struct request){.method = "GET", .target = "/", .if_match = "\"a\""},
                412, "Precondition Failed", "If-Match does not list what is here now.");
}

TEST(a_tag_of_another_format_is_not_the_clients)
{
    char tag[32];
    strcpy(tag, field(get(__LINE__, "/", "text/html"), "ETag"));
    struct request request = {
        .method = "GET", .target = "/", .accept = "application/json", .if_none_match = tag};
    assert_string_equal(field(ask(__LINE__, &defaults, &request), "Status"), "200 OK");
    request.accept = "text/html";
    assert_string_equal(field(ask(__LINE__, &defaults, &request), "Status"), "304 Not Modified");
}

/* --- The other routes ----------------------------------------------------------------------- */

TEST(a_draining_instance_is_not_ready)
{
    check_error(__LINE__, (struct request){.method = "GET", .target = "/ready", .draining = true},
                503, "Service Unavailable", "This instance is stopping and takes no more traffic.");
}

TEST(a_draining_instance_answers_everything_else)
{
    static const char *const targets[] = {"/", "/?name=Ada", "/health", "/version", "/nothing"};
    for (size_t i = 0; i < LENGTH(targets); i++) {
        const struct request request = {.method = "GET", .target = targets[i], .draining = true};
        const struct answer *answer = ask(__LINE__, &defaults, &request);
        same_string(__LINE__, targets[i], get(__LINE__, targets[i], NULL)->head, answer->head);
        same_string(__LINE__, targets[i], get(__LINE__, targets[i], NULL)->body, answer->body);
    }
}

static void check_version(int line, const char *service, const char *revision, size_t members)
{
    const struct settings settings = {.service = service, .revision = revision};
    const struct answer *answer =
        ask(line, &settings, &(struct request){.method = "GET", .target = "/version"});
    same_string(line, "/version", JSON, field(answer, "Content-Type"));
    json_t *json = json_loads(answer->body, JSON_REJECT_DUPLICATES, NULL);
    check_member(line, json, "version", build_version);
    check_member(line, json, "commit", build_commit);
    check_member(line, json, "service", service);
    check_member(line, json, "revision", revision);
    same_number(line, answer->body, members, json_object_size(json));
    json_decref(json);
}

TEST(the_version_tells_build_and_where_it_is_known_service_and_revision)
{
    check_version(__LINE__, NULL, NULL, 2);
    check_version(__LINE__, "hello", NULL, 3);
    check_version(__LINE__, NULL, "hello-1", 3);
    check_version(__LINE__, "hello", "hello-1", 4);
}

/* --- Bounds --------------------------------------------------------------------------------- */

TEST(the_largest_possible_greeting_fits)
{
    static const char *const widest[] = {"\"", "&", "\\", "\xF4\x8F\xBF\xBD"};
    static const char *const formats[] = {"text", "html", "json"};
    for (size_t i = 0; i < LENGTH(widest) * LENGTH(formats); i++) {
        const char *name = repeated(widest[i / LENGTH(formats)], 64);
        const char *format = formats[i % LENGTH(formats)];
        const struct settings settings = {.greeting = name, .name = name};
        char target[64];
        snprintf(target, sizeof(target), "/?format=%s", format);
        struct request request = {.method = "GET", .target = target};
        const struct answer *by_default = ask(__LINE__, &settings, &request);
        request.target = target_for(name, format);
        const struct answer *by_name = ask(__LINE__, &settings, &request);
        same_string(__LINE__, name, "200 OK", field(by_default, "Status"));
        same_string(__LINE__, name, "200 OK", field(by_name, "Status"));
        same_string(__LINE__, name, by_default->body, by_name->body);
    }
}

/* The salutation is put together in a buffer of its own. */
TEST(the_longest_greeting_is_not_cut)
{
    const char *word = repeated("\xF4\x8F\xBF\xBD", 64);
    const struct settings settings = {.greeting = word, .name = word};
    char expected[1024];
    const struct answer *answer =
        ask(__LINE__, &settings, &(struct request){.method = "GET", .target = "/"});
    snprintf(expected, sizeof(expected), "%s %s\n", word, word);
    assert_string_equal(answer->body, expected);
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
            .settings = &defaults, .request = &request, .requested = FORMAT_NONE};
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

/* RESPONSE_MAX leaves room for every field beside the largest body. */
TEST(the_largest_body_fits_with_every_field)
{
    struct response response;
    response_init(&response);
    text_add(&response.body, repeated("a", RESPONSE_BODY_MAX - 1));
    response.status = 405;
    response.content_type = PROBLEM;
    response.caching = CACHING_SHARED;
    response.route = &routes[0];
    response.quotes_input = true;
    response.tells_methods = true;
    response.varies = true;
    memset(response.entity_tag, 'x', ENTITY_TAG_SIZE - 1);
    response.entity_tag[ENTITY_TAG_SIZE - 1] = '\0';
    assert_false(response.body.overflowed);
    assert_true(response_print(&response, walled(__LINE__, RESPONSE_MAX), RESPONSE_MAX) > 0);
}

TEST(a_response_that_does_not_fit_is_not_printed_in_part)
{
    struct response response;
    char whole[RESPONSE_MAX];
    respond(&defaults, &(struct request){.method = "GET", .target = "/"}, &response);
    const size_t length = response_print(&response, whole, sizeof(whole));
    for (size_t size = 1; size < length; size++)
        same_number(__LINE__, "a buffer too small", 0,
                    response_print(&response, walled(__LINE__, size), size));
    same_number(__LINE__, "a buffer that just fits", length,
                response_print(&response, walled(__LINE__, length + 1), length + 1));
}

/* GREETING is checked when it is read, so that only a broken one gets here. */
TEST(an_answer_that_cannot_be_put_together_is_an_error)
{
    const struct settings broken = {.greeting = "\xFF", .name = "World"};
    static const char *const verbs[] = {"GET", "HEAD"};
    for (size_t i = 0; i < LENGTH(verbs); i++) {
        const struct request request = {
            .method = verbs[i], .target = "/", .accept = "application/json", .if_none_match = "*"};
        const struct answer *answer = ask(__LINE__, &broken, &request);
        assert_string_equal(field(answer, "Status"), "500 Internal Server Error");
        assert_string_equal(field(answer, "Cache-Control"), "no-store");
        assert_string_equal(field(answer, "ETag"), ABSENT);
        if (i == 0)
            check_problem_details(__LINE__, answer, 500, "Internal Server Error",
                                  "The answer could not be put together.");
    }
}

TEST(every_response_forbids_the_browser_what_it_has_no_need_for)
{
    static const struct request requests[] = {
        {.method = "GET", .target = "/"},
        {.method = "GET", .target = "/", .if_none_match = "*"},
        {.method = "GET", .target = "/nothing", .accept = "text/html"},
        {.method = "HEAD", .target = "/version"},
        {.method = "OPTIONS", .target = "/"},
        {.method = "POST", .target = "/"},
    };
    for (size_t i = 0; i < LENGTH(requests); i++) {
        const char *target = requests[i].target;
        const struct answer *answer = ask(__LINE__, &defaults, &requests[i]);
        same_string(__LINE__, target,
                    strcmp(target, "/nothing") == 0
                        ? page_policy
                        : "default-src 'none'; base-uri 'none'; form-action 'none'; "
                          "frame-ancestors 'none'",
                    field(answer, "Content-Security-Policy"));
        same_string(__LINE__, target, "nosniff", field(answer, "X-Content-Type-Options"));
        same_string(__LINE__, target, "no-referrer", field(answer, "Referrer-Policy"));
    }
}

/* What is public and what quotes, by route; errors of the public route are public, too. */
TEST(a_field_stands_only_where_it_is_of_use)
{
    static const struct {
        int line;
        const char *method, *target, *origins, *resource, *robots, *opener, *methods;
    } cases[] = {
#define ANY "*", ABSENT
#define OWN ABSENT, "same-origin"
        {__LINE__, "GET", "/", ANY, ABSENT, ABSENT, ABSENT},
        {__LINE__, "HEAD", "/?format=json", ANY, ABSENT, ABSENT, ABSENT},
        {__LINE__, "GET", "/?format=html", ANY, ABSENT, "same-origin", ABSENT},
        {__LINE__, "GET", "/?name=Ada", ANY, "noindex", ABSENT, ABSENT},
        {__LINE__, "GET", "/?x&format=html", ANY, "noindex", "same-origin", ABSENT},
        {__LINE__, "POST", "/", ANY, ABSENT, ABSENT, ABSENT},
        {__LINE__, "PUT", "/", ANY, "noindex", ABSENT, ABSENT},
        {__LINE__, "GET", "/greetings/Ada", ANY, "noindex", ABSENT, ABSENT},
        {__LINE__, "OPTIONS", "/", ANY, ABSENT, ABSENT, "GET, HEAD, OPTIONS, POST"},
        {__LINE__, "OPTIONS", "/health", OWN, ABSENT, ABSENT, ABSENT},
        {__LINE__, "GET", "/health", OWN, ABSENT, ABSENT, ABSENT},
        {__LINE__, "GET", "/version", OWN, ABSENT, ABSENT, ABSENT},
        {__LINE__, "GET", "/nothing", OWN, "noindex", ABSENT, ABSENT},
        {__LINE__, "GET", "/%FF", OWN, "noindex", ABSENT, ABSENT},
#undef ANY
#undef OWN
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        const struct request request = {.method = cases[i].method, .target = cases[i].target};
        const struct answer *answer = ask(cases[i].line, &defaults, &request);
        const char *const fields[][2] = {
            {"Access-Control-Allow-Origin", cases[i].origins},
            {"Cross-Origin-Resource-Policy", cases[i].resource},
            {"X-Robots-Tag", cases[i].robots},
            {"Cross-Origin-Opener-Policy", cases[i].opener},
            {"Access-Control-Allow-Methods", cases[i].methods},
        };
        for (size_t k = 0; k < LENGTH(fields); k++)
            same_string(cases[i].line, fields[k][0], fields[k][1], field(answer, fields[k][0]));
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
        const char *body = ask(cases[i].line, &defaults, &request)->body;
        const size_t length = strlen(body), end = strlen(cases[i].end);
        same_string(cases[i].line, cases[i].id, cases[i].end,
                    length > end ? body + length - end : body);
    }
}

TEST(a_failure_says_why_and_a_response_which_route_it_took)
{
    static const struct settings broken = {.greeting = "\xFF", .name = "World"};
    struct response response;
    respond(&broken, &(struct request){.method = "GET", .target = "/?format=json"}, &response);
    assert_string_equal(response.failure, "the body does not fit, or memory is short");
    assert_string_equal(response.route->path, "/");
    respond(&defaults, &(struct request){.method = "GET", .target = "/nothing"}, &response);
    assert_null(response.failure);
    assert_null(response.route);
    respond(&defaults, &(struct request){.method = "POST", .target = "/health"}, &response);
    assert_string_equal(response.route->path, "/health");
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
        {__LINE__, 503, "Service Unavailable"},
    };
    for (size_t i = 0; i < LENGTH(cases); i++)
        same_string(cases[i].line, "", cases[i].phrase, reason_phrase(cases[i].status));
    assert_true(strlen(reason_phrase(299)) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_greeting_is_for_whom_and_in_the_format_that_was_asked_for),
        cmocka_unit_test(a_request_is_routed_by_its_decoded_path),
        cmocka_unit_test(each_route_answers_get_head_and_options),
        cmocka_unit_test(options_has_neither_content_nor_tag),
        cmocka_unit_test(a_head_has_the_fields_of_a_get),
        cmocka_unit_test(an_error_comes_in_the_format_that_the_client_prefers),
        cmocka_unit_test(an_error_comes_in_the_format_that_the_query_asks_for),
        cmocka_unit_test(a_target_that_cannot_be_taken_apart_is_a_bad_request),
        cmocka_unit_test(a_parameter_that_the_greeting_does_not_take_is_a_bad_request),
        cmocka_unit_test(a_parameter_that_is_repeated_empty_or_unknown_is_a_bad_request),
        cmocka_unit_test(a_path_that_is_no_route_is_not_found),
        cmocka_unit_test(a_method_of_http_is_not_allowed_where_nothing_can_be_done_by_it),
        cmocka_unit_test(a_method_that_is_not_known_is_so_for_every_path),
        cmocka_unit_test(the_form_of_an_error_does_not_depend_on_what_the_error_is),
        cmocka_unit_test(a_format_that_is_given_twice_is_a_bad_request),
        cmocka_unit_test(nothing_acceptable_says_what_there_is),
        cmocka_unit_test(a_requested_format_is_sent_whatever_is_acceptable),
        cmocka_unit_test(a_target_of_more_than_8192_bytes_is_too_long),
        cmocka_unit_test(a_body_means_nothing_while_it_is_as_long_as_declared),
        cmocka_unit_test(a_content_length_that_is_no_number_is_a_bad_request),
        cmocka_unit_test(a_body_that_is_shorter_or_longer_than_declared_is_a_bad_request),
        cmocka_unit_test(a_body_of_more_than_1_mib_is_too_large),
        cmocka_unit_test(names_of_every_script_are_greeted),
        cmocka_unit_test(a_hostile_name_stays_a_name),
        cmocka_unit_test(a_name_has_at_most_64_code_points),
        cmocka_unit_test(the_settings_choose_the_greeting_and_the_name_it_has_by_default),
        cmocka_unit_test(only_the_greeting_may_be_stored_and_by_name_only_privately),
        cmocka_unit_test(a_response_varies_only_where_a_field_chose_it),
        cmocka_unit_test(each_representation_has_its_own_entity_tag),
        cmocka_unit_test(a_representation_that_the_client_has_is_not_sent_again),
        cmocka_unit_test(preconditions_are_judged_in_their_order),
        cmocka_unit_test(a_precondition_that_fails_is_an_error_like_others),
        cmocka_unit_test(a_tag_of_another_format_is_not_the_clients),
        cmocka_unit_test(a_draining_instance_is_not_ready),
        cmocka_unit_test(a_draining_instance_answers_everything_else),
        cmocka_unit_test(the_version_tells_build_and_where_it_is_known_service_and_revision),
        cmocka_unit_test(the_largest_possible_greeting_fits),
        cmocka_unit_test(the_longest_greeting_is_not_cut),
        cmocka_unit_test(the_largest_possible_error_fits),
        cmocka_unit_test(an_error_of_any_detail_fits),
        cmocka_unit_test(the_largest_body_fits_with_every_field),
        cmocka_unit_test(a_response_that_does_not_fit_is_not_printed_in_part),
        cmocka_unit_test(an_answer_that_cannot_be_put_together_is_an_error),
        cmocka_unit_test(every_response_forbids_the_browser_what_it_has_no_need_for),
        cmocka_unit_test(a_field_stands_only_where_it_is_of_use),
        cmocka_unit_test(an_error_quotes_the_id_of_its_request),
        cmocka_unit_test(a_failure_says_why_and_a_response_which_route_it_took),
        cmocka_unit_test(each_status_has_its_reason_phrase),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
