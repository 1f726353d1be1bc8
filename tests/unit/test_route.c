/* From the path and the method to who answers. */
#include "errors.h"

#include "core/handler.h"

TEST(a_request_is_routed_by_its_decoded_path)
{
    static const struct got cases[] = {
        {__LINE__, "/health", NULL, TEXT, "ok\n"},
        {__LINE__, "/health", "text/html", TEXT, "ok\n"},
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
        const struct answer *answer = ask(cases[one].line, &test_settings, &request);
        same_string(cases[one].line, request.target, cases[one].status, field(answer, "Status"));
        same_string(cases[one].line, request.target, cases[one].allow, field(answer, "Allow"));
    }
}

TEST(options_has_neither_content_nor_tag)
{
    const struct request request = {.method = "OPTIONS", .target = "/", .if_none_match = "*"};
    const struct answer *answer = ask(__LINE__, &test_settings, &request);
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
        const struct answer *answer = ask(__LINE__, &test_settings, &head);
        same_string(__LINE__, target, get(__LINE__, target, accept)->head, answer->head);
    }
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
                    field(ask(__LINE__, &test_settings, &request), "Allow"));
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
                    field(ask(__LINE__, &test_settings, &request), "Allow"));
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
                    field(ask(cases[one].line, &test_settings, &request), "Allow"));
    }
}

/* What the table says has to be what the rest of the core can do. */
TEST(each_route_keeps_to_the_bounds)
{
    for (const struct route *route = routes; route < routes + ROUTES; route++) {
        const char *named = strchr(route->path, '{');
        holds(__LINE__, route->path, "a slash first", *route->path == '/');
        holds(__LINE__, route->path, "one parameter at most",
              !named || (named[-1] == '/' && !strchr(named + 1, '{')));
        holds(__LINE__, route->path, "a name that fits",
              !named || strcspn(named, "}") - 1 <= NAMED_MAX);
        holds(__LINE__, route->path, "a body that fits", route->body_max <= BODY_KEPT_MAX);
        holds(__LINE__, route->path, "types for its body",
              (route->body_max > 0) == (route->body_types[0] != NULL));
        holds(__LINE__, route->path, "a method", route->methods != 0);
    }
}

/* RFC 9110 section 5.6.1.1: what is sent has no empty elements, also where there is no GET. */
TEST(any_set_of_methods_is_a_list)
{
    static const char *const names[] = {"GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE", "PATCH"};
    for (unsigned set = 0; set < 1U << LENGTH(names); set++) {
        char bytes[128], expected[128];
        struct text list = text_in(bytes, sizeof(bytes)),
                    wanted = text_in(expected, sizeof(expected));
        const struct route route = {.methods = set & (GET | POST | PUT | DELETE | PATCH)};
        for (size_t i = 0; i < LENGTH(names); i++) {
            const bool has = i == METHOD_OPTIONS || set & (i == METHOD_HEAD ? GET : 1U << i);
            text_add(&wanted, has && wanted.length > 0 ? ", " : "");
            text_add(&wanted, has ? names[i] : "");
        }
        const char *allowed[METHODS + 1];
        route_methods(&route, allowed);
        text_add_list(&list, allowed, ", ");
        same_string(__LINE__, "methods", expected, bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_routed_by_its_decoded_path),
        cmocka_unit_test(each_route_answers_get_head_and_options),
        cmocka_unit_test(options_has_neither_content_nor_tag),
        cmocka_unit_test(a_head_has_the_fields_of_a_get),
        cmocka_unit_test(a_path_that_is_no_route_is_not_found),
        cmocka_unit_test(a_method_of_http_is_not_allowed_where_nothing_can_be_done_by_it),
        cmocka_unit_test(a_method_that_is_not_known_is_so_for_every_path),
        cmocka_unit_test(each_route_keeps_to_the_bounds),
        cmocka_unit_test(any_set_of_methods_is_a_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
