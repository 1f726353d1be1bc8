/* The greeting, in each format and language and by name, wherever the name stands: in the query, in
 * the path, in a form, in JSON. */
#include "errors.h"

#include "core/handler.h"

#define WORLD_JSON "{\"greeting\":\"Hello World\",\"name\":\"World\"}\n"
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
    const char *body = ask(__LINE__, &test_settings, &request)->body;
    holds(__LINE__, body, "the browser says it again", !strstr(body, hidden));
}

TEST(the_answer_says_what_it_was_chosen_by)
{
    expect_in(__LINE__, "/", NULL, "\r\nVary: Accept, Accept-Language\r\n");
    expect_in(__LINE__, "/?format=text", "de", "\r\nVary: Accept-Language\r\n");
    expect_in(__LINE__, "/?lang=de", "de", "\r\nVary: Accept\r\n");
    const struct request both = {.method = "GET", .target = "/?lang=de&format=text"};
    same_string(__LINE__, both.target, ABSENT, field(ask(__LINE__, &test_settings, &both), "Vary"));
    const struct request unknown = {
        .method = "GET", .target = "/?lang=xx", .accept_language = "de"};
    expect(__LINE__, &unknown, "400 Bad Request", "\r\nVary: Accept\r\n");
    expect(__LINE__, &unknown, "400 Bad Request", "\"lang\" is none of en, ");
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

TEST(a_tag_of_another_format_is_not_the_clients)
{
    char tag[32];
    strcpy(tag, field(get(__LINE__, "/", "text/html"), "ETag"));
    struct request request = {
        .method = "GET", .target = "/", .accept = "application/json", .if_none_match = tag};
    assert_string_equal(field(ask(__LINE__, &test_settings, &request), "Status"), "200 OK");
    request.accept = "text/html";
    assert_string_equal(field(ask(__LINE__, &test_settings, &request), "Status"),
                        "304 Not Modified");
}

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_greeting_is_for_whom_and_in_the_format_that_was_asked_for),
        cmocka_unit_test(names_of_every_script_are_greeted),
        cmocka_unit_test(a_hostile_name_stays_a_name),
        cmocka_unit_test(a_name_has_at_most_64_code_points),
        cmocka_unit_test(the_settings_choose_the_greeting_and_the_name_it_has_by_default),
        cmocka_unit_test(a_parameter_that_the_greeting_does_not_take_is_a_bad_request),
        cmocka_unit_test(a_parameter_that_is_repeated_empty_or_unknown_is_a_bad_request),
        cmocka_unit_test(a_format_that_is_given_twice_is_a_bad_request),
        cmocka_unit_test(nothing_acceptable_says_what_there_is),
        cmocka_unit_test(a_requested_format_is_sent_whatever_is_acceptable),
        cmocka_unit_test(a_name_in_a_body_is_greeted_or_refused_as_one_in_the_query_is),
        cmocka_unit_test(a_body_is_taken_up_to_the_bound_of_its_route),
        cmocka_unit_test(a_name_in_the_path_is_one_segment),
        cmocka_unit_test(it_greets_in_the_language_that_the_client_wants),
        cmocka_unit_test(the_form_keeps_the_language_that_was_asked_for),
        cmocka_unit_test(the_answer_says_what_it_was_chosen_by),
        cmocka_unit_test(each_representation_has_its_own_entity_tag),
        cmocka_unit_test(a_tag_of_another_format_is_not_the_clients),
        cmocka_unit_test(the_largest_possible_greeting_fits),
        cmocka_unit_test(the_longest_greeting_is_not_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
