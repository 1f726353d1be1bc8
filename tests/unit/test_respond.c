/* What holds for requests and responses of all routes: bodies, caches, preconditions, fields. */
#include "errors.h"

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
        const struct answer *answer = ask(cases[i].line, &test_settings, &request);
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

/* --- Caches --------------------------------------------------------------------------------- */

#define KEPT "public, max-age=1, stale-while-revalidate=9, stale-if-error=9"

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
        const struct answer *answer = ask(cases[i].line, &test_settings, &request);
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
        const struct answer *answer = ask(cases[i].line, &test_settings, &request);
        same_string(cases[i].line, request.target, cases[i].status, field(answer, "Status"));
    }
}

TEST(a_precondition_that_fails_is_an_error_like_others)
{
    check_error(__LINE__, (struct request){.method = "GET", .target = "/", .if_match = "\"a\""},
                412, "Precondition Failed", "If-Match does not list what is here now.");
}

/* --- Fields --------------------------------------------------------------------------------- */

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
        const struct answer *answer = ask(__LINE__, &test_settings, &requests[i]);
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
        const struct answer *answer = ask(cases[i].line, &test_settings, &request);
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

TEST(a_failure_says_why_and_a_response_which_route_it_took)
{
    static const struct settings broken = {.greeting = "\xFF", .name = "World"};
    struct response response;
    respond(&broken, &(struct request){.method = "GET", .target = "/?format=json"}, &response);
    assert_string_equal(response.failure, "the body does not fit, or memory is short");
    assert_string_equal(response.route->path, "/");
    respond(&test_settings, &(struct request){.method = "GET", .target = "/nothing"}, &response);
    assert_null(response.failure);
    assert_null(response.route);
    respond(&test_settings, &(struct request){.method = "POST", .target = "/health"}, &response);
    assert_string_equal(response.route->path, "/health");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_body_means_nothing_while_it_is_as_long_as_declared),
        cmocka_unit_test(a_content_length_that_is_no_number_is_a_bad_request),
        cmocka_unit_test(a_body_that_is_shorter_or_longer_than_declared_is_a_bad_request),
        cmocka_unit_test(a_body_of_more_than_1_mib_is_too_large),
        cmocka_unit_test(only_the_greeting_may_be_stored_and_by_name_only_privately),
        cmocka_unit_test(a_response_varies_only_where_a_field_chose_it),
        cmocka_unit_test(a_representation_that_the_client_has_is_not_sent_again),
        cmocka_unit_test(preconditions_are_judged_in_their_order),
        cmocka_unit_test(a_precondition_that_fails_is_an_error_like_others),
        cmocka_unit_test(an_answer_that_cannot_be_put_together_is_an_error),
        cmocka_unit_test(every_response_forbids_the_browser_what_it_has_no_need_for),
        cmocka_unit_test(a_field_stands_only_where_it_is_of_use),
        cmocka_unit_test(a_failure_says_why_and_a_response_which_route_it_took),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
