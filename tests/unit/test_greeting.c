/* The greeting by name, wherever the name stands: in the path, in a form, in JSON. */
#include "request.h"

#include "core/handler.h"

TEST(a_name_in_a_body_is_greeted_or_refused_as_one_in_the_query_is)
{
    static const struct {
        int line;
        const char *type, *body, *status, *text;
    } cases[] = {
        {__LINE__, FORM_TYPE, "name=Ada", "200 OK", "\r\n\r\nHello Ada\n"},
        {__LINE__, FORM_TYPE, "name=a+b%2Bc%20d", "200 OK", "\r\n\r\nHello a b+c d\n"},
        {__LINE__, FORM_TYPE, "", "200 OK", "\r\n\r\nHello World\n"},
        {__LINE__, NULL, "", "200 OK", "\r\n\r\nHello World\n"},
        {__LINE__, "Application/X-WWW-Form-Urlencoded; charset=\"UTF-8\"", "name=Ada", "200 OK",
         "Hello Ada\n"},
        {__LINE__, JSON_TYPE, "{\"name\":\"Zo\\u00eb\"}", "200 OK", "Hello Zo\xC3\xAB\n"},
        {__LINE__, JSON_TYPE "; charset=utf-8", "{}", "200 OK", "Hello World\n"},
        {__LINE__, FORM_TYPE, "name=", "400 Bad Request", "The form field \"name\" is empty."},
        {__LINE__, FORM_TYPE, "nom=Ada", "400 Bad Request",
         "There is no form field \"nom\", only name and lang."},
        {__LINE__, FORM_TYPE, "name=a&name=b", "400 Bad Request",
         "\"name\" is given more than once."},
        {__LINE__, FORM_TYPE, "name=%FF", "400 Bad Request", "\"name\" is not valid UTF-8."},
        {__LINE__, JSON_TYPE, "{\"name\":1}", "400 Bad Request",
         "The JSON member \"name\" is no string."},
        {__LINE__, JSON_TYPE, "{\"name\":\"a\\u0000\"}", "400 Bad Request", "The body is no JSON"},
        {__LINE__, JSON_TYPE, "{\"name\":\"a\\n\"}", "400 Bad Request",
         "\"name\" has a control character."},
        {__LINE__, JSON_TYPE, "{\"name\":\"a\",\"name\":\"b\"}", "400 Bad Request", "is no JSON"},
        {__LINE__, JSON_TYPE, "[]", "400 Bad Request", "The body is no JSON object."},
        {__LINE__, JSON_TYPE, "{", "400 Bad Request", "The body is no JSON"},
        {__LINE__, "text/plain", "Ada", "415 Unsupported Media Type",
         "\r\nAccept: " FORM_TYPE ", " JSON_TYPE "\r\n"},
        {__LINE__, NULL, "name=Ada", "415 Unsupported Media Type", "Content-Type must say so."},
        {__LINE__, FORM_TYPE "; charset=latin1", "name=Ada", "415 Unsupported Media Type", ""},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        const struct request request = post("/", cases[i].type, cases[i].body);
        expect(cases[i].line, &request, cases[i].status, cases[i].text);
    }
}

TEST(a_body_is_taken_up_to_the_bound_of_its_route)
{
    struct request request = post("/", FORM_TYPE, repeated("&", 4096));
    expect(__LINE__, &request, "200 OK", "Hello World\n");
    request = post("/", FORM_TYPE, repeated("&", 4097));
    expect(__LINE__, &request, "413 Content Too Large", "The body is longer than 4096 bytes.");
    request = post("/", FORM_TYPE, "name=Ada");
    request.content_encoding = "gzip";
    expect(__LINE__, &request, "415 Unsupported Media Type", "");
    request.content_encoding = NULL;
    request.content_length = "9"; /* cut off, which empty is not */
    expect(__LINE__, &request, "400 Bad Request", "The body has 8 bytes");
    request = post("/", FORM_TYPE, "name=Ada");
    request.method = "GET"; /* where a body means nothing */
    expect(__LINE__, &request, "200 OK", "Hello World\n");
}

TEST(a_name_in_the_path_is_one_segment)
{
    static const struct {
        int line;
        const char *target, *status, *text;
    } cases[] = {
        {__LINE__, "/greetings/Ada", "200 OK", "\r\n\r\nHello Ada\n"},
        {__LINE__, "/greetings/a%2Fb+c", "200 OK", "\r\n\r\nHello a/b+c\n"},
        {__LINE__, "/greetings/...", "200 OK", "\r\n\r\nHello ...\n"},
        {__LINE__, "/greetings/Ada?name=Eve", "400 Bad Request",
         "\"name\" is given more than once."},
        {__LINE__, "/greetings/%20", "400 Bad Request", "The path parameter \"name\" is blank."},
        {__LINE__, "/greetings/%FF", "400 Bad Request", "The path is not valid UTF-8."},
        {__LINE__, "/greetings/", "404 Not Found", ""},
        {__LINE__, "/greetings", "404 Not Found", ""},
        {__LINE__, "/greetings/.", "404 Not Found", ""},
        {__LINE__, "/greetings/%2e%2E", "404 Not Found", ""},
        {__LINE__, "/greetings/a/b", "404 Not Found", ""},
        {__LINE__, "/greetings%2FAda", "404 Not Found", ""},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        const struct request request = {.method = "GET", .target = cases[i].target};
        expect(cases[i].line, &request, cases[i].status, cases[i].text);
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

static void expect_in(int line, const char *target, const char *language, const char *text)
{
    const struct request request = {.method = "GET", .target = target, .accept_language = language};
    expect(line, &request, "200 OK", text);
}

TEST(it_greets_in_the_language_that_the_client_wants)
{
    expect_in(__LINE__, "/", NULL, "\r\n\r\nHello World\n");
    expect_in(__LINE__, "/", "de", "\r\n\r\nHallo Welt\n");
    expect_in(__LINE__, "/?name=Ada", "ja", "\r\n\r\nAdaさん、こんにちは！\n");
    expect_in(__LINE__, "/greetings/Ada?lang=es", "de", "\r\n\r\n¡Hola, Ada!\n");
    expect_in(__LINE__, "/?lang=fr", "de",
              "\r\nContent-Language: fr\r\n"); /* which wins over the field */
    expect_in(__LINE__, "/?format=json", "ru",
              "{\"greeting\":\"Привет, мир!\",\"name\":\"мир\"}\n");
    expect_in(__LINE__, "/?format=html", "ar", "<html lang=\"ar\" dir=\"rtl\">");
    expect_in(__LINE__, "/?format=html&name=Ada&lang=he", NULL,
              "<h1 class=\"short\">שלום, <bdi>Ada</bdi>!</h1>");
    const struct request form = post("/", FORM_TYPE, "name=Ada&lang=pt");
    expect(__LINE__, &form, "200 OK", "Olá, Ada!\n");
}

TEST(the_form_keeps_the_language_that_was_asked_for)
{
    static const char hidden[] = "<input type=\"hidden\" name=\"lang\" value=\"de\">";
    expect_in(__LINE__, "/?format=html&lang=de", NULL, hidden);
    const struct request request = {
        .method = "GET", .target = "/?format=html", .accept_language = "de"};
    const char *answer = answer_to(__LINE__, &request);
    holds(__LINE__, answer, "the browser says it again", !strstr(answer, hidden));
}

TEST(the_answer_says_what_it_was_chosen_by)
{
    expect_in(__LINE__, "/", NULL, "\r\nVary: Accept, Accept-Language\r\n");
    expect_in(__LINE__, "/?format=text", "de", "\r\nVary: Accept-Language\r\n");
    expect_in(__LINE__, "/?lang=de", "de", "\r\nVary: Accept\r\n");
    const struct request both = {.method = "GET", .target = "/?lang=de&format=text"};
    const char *answer = answer_to(__LINE__, &both);
    holds(__LINE__, answer, "chosen by the target alone", !strstr(answer, "Vary"));
    const struct request unknown = {
        .method = "GET", .target = "/?lang=xx", .accept_language = "de"};
    expect(__LINE__, &unknown, "400 Bad Request", "\r\nVary: Accept\r\n");
    expect(__LINE__, &unknown, "400 Bad Request", "\"lang\" is none of en, ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_in_a_body_is_greeted_or_refused_as_one_in_the_query_is),
        cmocka_unit_test(a_body_is_taken_up_to_the_bound_of_its_route),
        cmocka_unit_test(a_name_in_the_path_is_one_segment),
        cmocka_unit_test(each_route_keeps_to_the_bounds),
        cmocka_unit_test(it_greets_in_the_language_that_the_client_wants),
        cmocka_unit_test(the_form_keeps_the_language_that_was_asked_for),
        cmocka_unit_test(the_answer_says_what_it_was_chosen_by),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
