/* Accept negotiation: RFC 9110 sections 5.6, 12.4.2 and 12.5.1. */
#include "cases.h"

#include "core/format.h"

struct negotiation {
    int line;
    const char *accept;
    enum format expected;
};

typedef enum format negotiation_function(const char *accept);

static const char *name_of(enum format format)
{
    static const char *const names[] = {"text", "html", "json", "none"};
    return names[format];
}

/* Of all formats. */
static enum format negotiate(const char *accept)
{
    return format_negotiate(accept, ~0U);
}

static void check(negotiation_function *chosen, const struct negotiation cases[], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const int line = cases[i].line;
        const enum format got = chosen(walled_string(line, cases[i].accept));
        same_string(line, cases[i].accept, name_of(cases[i].expected), name_of(got));
    }
}

TEST(no_preference_gets_text)
{
    static const struct negotiation cases[] = {
        {__LINE__, NULL, FORMAT_TEXT},     {__LINE__, "", FORMAT_TEXT},
        {__LINE__, " \t", FORMAT_TEXT},    {__LINE__, ",", FORMAT_TEXT},
        {__LINE__, ", ,\t,", FORMAT_TEXT}, {__LINE__, "*/*", FORMAT_TEXT},
    };
    check(negotiate, TABLE(cases));
}

TEST(the_one_type_that_is_named_is_sent)
{
    static const struct negotiation cases[] = {
        {__LINE__, "text/plain", FORMAT_TEXT},
        {__LINE__, "text/html", FORMAT_HTML},
        {__LINE__, "application/json", FORMAT_JSON},
        {__LINE__, "TEXT/HTML", FORMAT_HTML},
        {__LINE__, "Application/Json;Q=0.1", FORMAT_JSON},
        {__LINE__, "image/png, text/html", FORMAT_HTML},
        {__LINE__, "\t text/html \t", FORMAT_HTML},
        {__LINE__, ",,text/html,,", FORMAT_HTML},
        {__LINE__, "application/*", FORMAT_JSON},
    };
    check(negotiate, TABLE(cases));
}

TEST(nothing_acceptable_is_none)
{
    static const struct negotiation cases[] = {
        {__LINE__, "image/png", FORMAT_NONE},
        {__LINE__, "image/*", FORMAT_NONE},
        {__LINE__, "text/plai", FORMAT_NONE},
        {__LINE__, "text/plainer", FORMAT_NONE},
        {__LINE__, "tex/plain", FORMAT_NONE},
        {__LINE__, "application/problem+json", FORMAT_NONE},
        {__LINE__, "application/xhtml+xml, text/css;q=0.5", FORMAT_NONE},
        {__LINE__, "text/xml, application/xml, application/html", FORMAT_NONE},
    };
    check(negotiate, TABLE(cases));
}

TEST(the_highest_quality_wins)
{
    static const struct negotiation cases[] = {
        {__LINE__, "text/plain;q=0.5, text/html;q=0.6", FORMAT_HTML},
        {__LINE__, "text/plain;q=0.5, text/html;q=0.51", FORMAT_HTML},
        {__LINE__, "text/plain;q=0.5, text/html;q=0.501", FORMAT_HTML},
        {__LINE__, "text/plain;q=0.999, application/json", FORMAT_JSON},
        {__LINE__, "text/plain;q=0.009, text/html;q=0.01", FORMAT_HTML},
        {__LINE__, "text/plain;q=0.09, text/html;q=0.1", FORMAT_HTML},
        {__LINE__, "text/plain;q=0.29, text/html;q=0.3", FORMAT_HTML},
        {__LINE__, "text/plain;q=0.1, text/html;q=0.2, application/json;q=0.15", FORMAT_HTML},
        {__LINE__, "application/json;q=0.001, text/html;q=0", FORMAT_JSON},
        {__LINE__, "text/plain ; q=0.1\t;\t, text/html", FORMAT_HTML},
    };
    check(negotiate, TABLE(cases));
}

TEST(equal_qualities_go_to_text_then_html_then_json)
{
    static const struct negotiation cases[] = {
        {__LINE__, "application/json, text/html, text/plain", FORMAT_TEXT},
        {__LINE__, "application/json, text/html", FORMAT_HTML},
        {__LINE__, "application/json, text/plain", FORMAT_TEXT},
        {__LINE__, "text/html;q=0.5, text/plain;q=0.500", FORMAT_TEXT},
        {__LINE__, "application/json;q=1, text/html;q=1.000", FORMAT_HTML},
        {__LINE__, "application/json;q=1., text/html", FORMAT_HTML},
        {__LINE__, "application/*, text/*", FORMAT_TEXT},
        {__LINE__, "*/*;q=0.1", FORMAT_TEXT},
    };
    check(negotiate, TABLE(cases));
}

TEST(a_more_specific_range_beats_a_wildcard)
{
    static const struct negotiation cases[] = {
        {__LINE__, "text/plain;q=0.1, */*", FORMAT_HTML},
        {__LINE__, "*/*, text/plain;q=0.1", FORMAT_HTML},
        {__LINE__, "text/*;q=0.1, */*;q=0.2", FORMAT_JSON},
        {__LINE__, "*/*;q=0.2, text/*;q=0.1", FORMAT_JSON},
        {__LINE__, "text/*, text/plain;q=0.5", FORMAT_HTML},
        {__LINE__, "text/plain;q=0.5, text/*", FORMAT_HTML},
        {__LINE__, "*/*;q=0.9, text/*;q=0.5, text/html;q=0.95", FORMAT_HTML},
        {__LINE__, "text/*;q=0.3, text/html;q=0.7, text/html;level=1, */*;q=0.5", FORMAT_HTML},
        {__LINE__, "*/*;charset=utf-8;q=0.9, text/*;q=0.1, application/json;q=0.2", FORMAT_JSON},
    };
    check(negotiate, TABLE(cases));
}

TEST(of_two_equally_specific_ranges_the_higher_quality_counts)
{
    static const struct negotiation cases[] = {
        {__LINE__, "text/html;q=0.1, text/html;q=0.9, text/plain;q=0.5", FORMAT_HTML},
        {__LINE__, "text/html;q=0.9, text/html;q=0.1, text/plain;q=0.5", FORMAT_HTML},
        {__LINE__, "text/html;q=0, text/html, text/plain;q=0.5", FORMAT_HTML},
    };
    check(negotiate, TABLE(cases));
}

TEST(a_quality_of_zero_excludes)
{
    static const struct negotiation cases[] = {
        {__LINE__, "text/plain;q=0", FORMAT_NONE},
        {__LINE__, "text/plain;q=0.", FORMAT_NONE},
        {__LINE__, "text/plain;q=0.000", FORMAT_NONE},
        {__LINE__, "*/*;q=0", FORMAT_NONE},
        {__LINE__, "text/plain;q=0, */*", FORMAT_HTML},
        {__LINE__, "text/*;q=0, */*;q=0.1", FORMAT_JSON},
        {__LINE__, "*/*;q=0, application/json;q=0.001", FORMAT_JSON},
        {__LINE__, "text/*;q=0, text/plain;q=0.2, application/json;q=0.1", FORMAT_TEXT},
    };
    check(negotiate, TABLE(cases));
}

TEST(a_charset_of_utf_8_is_met_and_more_specific_than_none)
{
    static const struct negotiation cases[] = {
        {__LINE__, "text/html;charset=utf-8", FORMAT_HTML},
        {__LINE__, "text/html; charset=\"UTF-8\"", FORMAT_HTML},
        {__LINE__, "text/html;CharSet=Utf-8", FORMAT_HTML},
        {__LINE__, "*/*;charset=utf-8", FORMAT_TEXT},
        {__LINE__, "text/html;charset=utf-8;charset=utf-8", FORMAT_HTML},
        {__LINE__, "text/html;charset=utf-8;q=0.1, text/html, text/plain;q=0.5", FORMAT_TEXT},
        {__LINE__, "text/html, text/html;charset=utf-8;q=0.1, text/plain;q=0.5", FORMAT_TEXT},
        {__LINE__, "text/html;q=0.1;charset=utf-8, text/plain;q=0.5", FORMAT_TEXT},
        {__LINE__, "text/html;q=1;charset=utf-8, text/plain;q=0.5", FORMAT_HTML},
    };
    check(negotiate, TABLE(cases));
}

TEST(a_range_with_parameters_that_no_representation_has_matches_nothing)
{
    static const struct negotiation cases[] = {
        {__LINE__, "text/html;charset=iso-8859-1", FORMAT_NONE},
        {__LINE__, "text/html;charset=utf-16", FORMAT_NONE},
        {__LINE__, "text/html;charset=utf-8x", FORMAT_NONE},
        {__LINE__, "text/html;level=1", FORMAT_NONE},
        {__LINE__, "text/html;level=utf-8", FORMAT_NONE},
        {__LINE__, "text/html;level=1;charset=utf-8", FORMAT_NONE},
        {__LINE__, "text/html;charset=utf-8;level=1", FORMAT_NONE},
        {__LINE__, "text/html;level=1, application/json;q=0.1", FORMAT_JSON},
        {__LINE__, "text/html;level=1;q=0.4, text/html;q=0.7, */*;q=0.5", FORMAT_HTML},
        {__LINE__, "*/*;charset=iso-8859-1, text/html;q=0.1", FORMAT_HTML},
    };
    check(negotiate, TABLE(cases));
}

TEST(what_stands_in_a_quoted_string_separates_nothing)
{
    static const struct negotiation cases[] = {
        {__LINE__, "text/plain;a=\"x,text/html,y\", application/json", FORMAT_JSON},
        {__LINE__, "text/plain;a=\"x;q=0\";charset=utf-8, text/html", FORMAT_HTML},
        {__LINE__, "text/plain;a=\"x\\\",text/html,\\\"\", application/json", FORMAT_JSON},
        {__LINE__, "text/plain;a=\"\\\\\", text/html", FORMAT_HTML},
        {__LINE__, "text/plain;a=\"\", text/html", FORMAT_HTML},
        {__LINE__, "application/json;q=0.5, text/plain;a=\"x, text/html", FORMAT_JSON},
        {__LINE__, "application/json;q=0.5, text/plain;a=\"x\\", FORMAT_JSON},
        {__LINE__, "application/json;q=0.5, text/plain;a=\"x\\\"", FORMAT_JSON},
    };
    check(negotiate, TABLE(cases));
}

/* RFC 9110 section 5.6.4: as if the backslash were not there. */
TEST(an_escaped_character_in_a_quoted_string_stands_for_itself)
{
    static const struct negotiation cases[] = {
        {__LINE__, "text/html;charset=\"utf\\-8\", text/plain;q=0.5", FORMAT_HTML},
        {__LINE__, "text/html;charset=\"\\u\\t\\f-8\", text/plain;q=0.5", FORMAT_HTML},
    };
    check(negotiate, TABLE(cases));
}

/* Alone, since without a well-formed range text is acceptable too. */
TEST(an_ill_formed_quality_makes_the_range_ill_formed)
{
    static const char *const qualities[] = {
        "q",     "q=",      "q=.",     "q=.5",   "q=-",      "q=/",      "q=-1",    "q=+1",
        "q=2",   "q=1.1",   "q=1.001", "q=11",   "q=00",     "q=01",     "q=1-",    "q=x",
        "q=0x1", "q=1e0",   "q=0.1x",  "q=0.0:", "q=0.00A",  "q=0./1",   "q=0.1.1", "q =1",
        "q= 1",  "q=0.1 1", "q=\"1",   "q=\"\"", "q=0.0001", "q=1.0000",
    };
    for (size_t i = 0; i < LENGTH(qualities); i++) {
        char accept[64];
        snprintf(accept, sizeof(accept), "image/png;%s", qualities[i]);
        const enum format got = negotiate(walled_string(__LINE__, accept));
        same_string(__LINE__, accept, "text", name_of(got));
    }
}

TEST(a_quality_has_at_most_three_decimals)
{
    static const struct negotiation cases[] = {
        {__LINE__, "text/html;q=0.123, text/plain;q=0.122", FORMAT_HTML},
        {__LINE__, "text/html;q=0.1234, text/plain;q=0.001", FORMAT_TEXT},
        {__LINE__, "text/html;q=1.000, text/plain;q=0.001", FORMAT_HTML},
        {__LINE__, "text/html;q=1.0000, text/plain;q=0.001", FORMAT_TEXT},
    };
    check(negotiate, TABLE(cases));
}

TEST(ill_formed_ranges_are_passed_over)
{
    static const struct negotiation cases[] = {
        {__LINE__, "text, application/json", FORMAT_JSON},
        {__LINE__, "text/, application/json", FORMAT_JSON},
        {__LINE__, "/plain, application/json", FORMAT_JSON},
        {__LINE__, "text /plain, application/json", FORMAT_JSON},
        {__LINE__, "text/ plain, application/json", FORMAT_JSON},
        {__LINE__, "text/plain/x, application/json", FORMAT_JSON},
        {__LINE__, "text/plain text/html, application/json", FORMAT_JSON},
        {__LINE__, "text/plain;a, application/json", FORMAT_JSON},
        {__LINE__, "text/plain;a=, application/json", FORMAT_JSON},
        {__LINE__, "text/plain;=a, application/json", FORMAT_JSON},
        {__LINE__, "text/plain;a = b, application/json", FORMAT_JSON},
        {__LINE__, "text/plain;charset=\"utf-8\"x, application/json", FORMAT_JSON},
        {__LINE__, "text/pl\xC3\xA4in, application/json", FORMAT_JSON},
        {__LINE__, "*, application/json", FORMAT_JSON},
        {__LINE__, "*/plain, application/json;q=0.1", FORMAT_JSON},
        {__LINE__, "(text/plain), application/json", FORMAT_JSON},
        {__LINE__, "application/json, text", FORMAT_JSON},
    };
    check(negotiate, TABLE(cases));
}

/* token, RFC 9110 section 5.6.2. A range that matches nothing is told from one that is no range. */
TEST(a_type_is_made_of_token_characters_only)
{
    static const char others[] = "\"(),/:;<=>?@[\\]{}";
    for (int byte = 1; byte <= UINT8_MAX; byte++) {
        const bool token = byte > ' ' && byte <= '~' && !strchr(others, byte);
        const char accept[] = {'x', (char)byte, '/', 'y', '\0'};
        const enum format got = negotiate(walled_string(__LINE__, accept));
        same_string(__LINE__, accept, token ? "none" : "text", name_of(got));
    }
}

TEST(without_a_single_well_formed_range_everything_is_acceptable)
{
    static const struct negotiation cases[] = {
        {__LINE__, "text", FORMAT_TEXT},
        {__LINE__, "html, json", FORMAT_TEXT},
        {__LINE__, "text/html;q=2", FORMAT_TEXT},
        {__LINE__, "image/png;q=", FORMAT_TEXT},
        {__LINE__, "/", FORMAT_TEXT},
        {__LINE__, "\"", FORMAT_TEXT},
        {__LINE__, "image/png;a=\"", FORMAT_TEXT},
        {__LINE__, ";", FORMAT_TEXT},
    };
    check(negotiate, TABLE(cases));
}

TEST(a_semicolon_may_stand_alone)
{
    static const struct negotiation cases[] = {
        {__LINE__, "text/html;", FORMAT_HTML},
        {__LINE__, "text/html ; ; , text/plain;q=0.5", FORMAT_HTML},
        {__LINE__, "text/html;;q=0.1, text/plain;q=0.5", FORMAT_TEXT},
        {__LINE__, "text/html;charset=utf-8;", FORMAT_HTML},
    };
    check(negotiate, TABLE(cases));
}

TEST(real_clients_get_what_they_expect)
{
    static const char firefox[] =
        "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8";
    static const char chrome[] =
        "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,"
        "*/*;q=0.8,application/signed-exchange;v=b3;q=0.7";
    static const struct negotiation cases[] = {
        {__LINE__, firefox, FORMAT_HTML},
        {__LINE__, chrome, FORMAT_HTML},
        {__LINE__, "*/*", FORMAT_TEXT},                               /* curl */
        {__LINE__, "application/json, text/plain, */*", FORMAT_TEXT}, /* axios */
        {__LINE__, "application/json, */*;q=0.5", FORMAT_JSON},       /* HTTPie */
        {__LINE__, "text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2", FORMAT_HTML}, /* Java */
    };
    check(negotiate, TABLE(cases));
}

TEST(a_problem_is_json_for_either_json_type)
{
    static const struct negotiation cases[] = {
        {__LINE__, "application/problem+json", FORMAT_JSON},
        {__LINE__, "application/json", FORMAT_JSON},
        {__LINE__, "application/*", FORMAT_JSON},
        {__LINE__, "application/problem+json, application/json;q=0", FORMAT_JSON},
        {__LINE__, "application/problem+json;q=0, application/json", FORMAT_JSON},
        {__LINE__, "application/problem+json;q=0.2, text/html;q=0.3", FORMAT_HTML},
        {__LINE__, "application/problem+json;q=0.4, text/html;q=0.3", FORMAT_JSON},
        {__LINE__, "application/json;q=0.4, text/html;q=0.3", FORMAT_JSON},
        {__LINE__, "application/problem+json;q=0.1, application/json;q=0.4, text/html;q=0.3",
         FORMAT_JSON},
        {__LINE__, "application/problem+json, text/html", FORMAT_HTML},
        {__LINE__, "application/problem+json, */*;q=0.9", FORMAT_JSON},
    };
    check(format_negotiate_problem, TABLE(cases));
}

TEST(a_problem_is_sent_even_where_nothing_is_acceptable)
{
    static const struct negotiation cases[] = {
        {__LINE__, NULL, FORMAT_TEXT},        {__LINE__, "", FORMAT_TEXT},
        {__LINE__, "image/png", FORMAT_TEXT}, {__LINE__, "*/*;q=0", FORMAT_TEXT},
        {__LINE__, "text/html", FORMAT_HTML}, {__LINE__, "text/plain;q=0", FORMAT_TEXT},
    };
    check(format_negotiate_problem, TABLE(cases));
}

TEST(formats_are_called_by_their_exact_names)
{
    static const struct negotiation cases[] = {
        {__LINE__, "text", FORMAT_TEXT},  {__LINE__, "html", FORMAT_HTML},
        {__LINE__, "json", FORMAT_JSON},  {__LINE__, "", FORMAT_NONE},
        {__LINE__, "TEXT", FORMAT_NONE},  {__LINE__, "tex", FORMAT_NONE},
        {__LINE__, "texts", FORMAT_NONE}, {__LINE__, "text/plain", FORMAT_NONE},
        {__LINE__, "xml", FORMAT_NONE},   {__LINE__, " json", FORMAT_NONE},
    };
    check(format_named, TABLE(cases));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_preference_gets_text),
        cmocka_unit_test(the_one_type_that_is_named_is_sent),
        cmocka_unit_test(nothing_acceptable_is_none),
        cmocka_unit_test(the_highest_quality_wins),
        cmocka_unit_test(equal_qualities_go_to_text_then_html_then_json),
        cmocka_unit_test(a_more_specific_range_beats_a_wildcard),
        cmocka_unit_test(of_two_equally_specific_ranges_the_higher_quality_counts),
        cmocka_unit_test(a_quality_of_zero_excludes),
        cmocka_unit_test(a_charset_of_utf_8_is_met_and_more_specific_than_none),
        cmocka_unit_test(a_range_with_parameters_that_no_representation_has_matches_nothing),
        cmocka_unit_test(what_stands_in_a_quoted_string_separates_nothing),
        cmocka_unit_test(an_escaped_character_in_a_quoted_string_stands_for_itself),
        cmocka_unit_test(an_ill_formed_quality_makes_the_range_ill_formed),
        cmocka_unit_test(a_quality_has_at_most_three_decimals),
        cmocka_unit_test(ill_formed_ranges_are_passed_over),
        cmocka_unit_test(a_type_is_made_of_token_characters_only),
        cmocka_unit_test(without_a_single_well_formed_range_everything_is_acceptable),
        cmocka_unit_test(a_semicolon_may_stand_alone),
        cmocka_unit_test(real_clients_get_what_they_expect),
        cmocka_unit_test(a_problem_is_json_for_either_json_type),
        cmocka_unit_test(a_problem_is_sent_even_where_nothing_is_acceptable),
        cmocka_unit_test(formats_are_called_by_their_exact_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
