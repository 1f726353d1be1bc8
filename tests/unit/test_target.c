/* The request target: RFC 3986, RFC 9112 section 3.2, and the query as HTML forms send it. */
#include "cases.h"

#include "core/target.h"

struct whole {
    int line;
    const char *raw, *expected; /* as described() tells it */
};

struct faulty {
    int line;
    const char *raw;
    int status;
    const char *detail;
};

/* Each parameter in braces, behind the path: "/ {name|Ada} {format|}". */
static const char *described(const struct target *target)
{
    static char text[TARGET_MAX + 8 * PARAMETERS_MAX];
    int length = 0;
    text[0] = '\0';
    for (size_t i = 0; i < target->segment_count && i < SEGMENTS_MAX; i++)
        length +=
            snprintf(text + length, sizeof(text) - (size_t)length, "/%s", target->segments[i]);
    for (size_t i = 0; i < target->parameters.count; i++)
        length += snprintf(text + length, sizeof(text) - (size_t)length, " {%s|%s}",
                           target->parameters.list[i].name, target->parameters.list[i].value);
    return text;
}

static void check(int line, const char *raw, const char *expected)
{
    struct target target;
    struct fault fault;
    memset(&target, 'x', sizeof(target));
    memset(&fault, 'x', sizeof(fault));
    target_parse(walled_string(line, raw), &target, &fault);
    same_string(line, raw, "", fault.status == 0 ? "" : fault.detail);
    same_string(line, raw, expected, described(&target));
}

static void check_all(const struct whole cases[], size_t count)
{
    for (size_t i = 0; i < count; i++)
        check(cases[i].line, cases[i].raw, cases[i].expected);
}

static void check_fault(int line, const char *raw, int status, const char *detail)
{
    struct target target;
    struct fault fault;
    target_parse(walled_string(line, raw), &target, &fault);
    same_number(line, raw, (uintmax_t)status, (uintmax_t)fault.status);
    same_string(line, raw, detail, fault.detail);
}

static void check_faults(const struct faulty cases[], size_t count)
{
    for (size_t i = 0; i < count; i++)
        check_fault(cases[i].line, cases[i].raw, cases[i].status, cases[i].detail);
}

TEST(a_target_is_a_path_and_parameters)
{
    static const struct whole cases[] = {
        {__LINE__, "/", "/"},
        {__LINE__, "/health", "/health"},
        {__LINE__, "/a/b//c/", "/a/b//c/"},
        {__LINE__, "//health", "//health"},
        {__LINE__, "/a/../b/.", "/a/../b/."},
        {__LINE__, "/?name=Ada", "/ {name|Ada}"},
        {__LINE__, "/?name=Ada&format=json", "/ {name|Ada} {format|json}"},
        {__LINE__, "/?b=1&a=2&b=3", "/ {b|1} {a|2} {b|3}"},
        {__LINE__, "/;a=b,c?x=;,", "/;a=b,c {x|;,}"},
    };
    check_all(TABLE(cases));
}

TEST(the_first_of_each_delimiter_counts)
{
    static const struct whole cases[] = {
        {__LINE__, "/?a=b=c", "/ {a|b=c}"},     {__LINE__, "/?a==", "/ {a|=}"},
        {__LINE__, "/?a=?", "/ {a|?}"},         {__LINE__, "/??a=b", "/ {?a|b}"},
        {__LINE__, "/&a=b?c=d", "/&a=b {c|d}"}, {__LINE__, "/=?a", "/= {a|}"},
    };
    check_all(TABLE(cases));
}

TEST(a_parameter_may_lack_value_or_name)
{
    static const struct whole cases[] = {
        {__LINE__, "/?a", "/ {a|}"},           {__LINE__, "/?a=", "/ {a|}"},
        {__LINE__, "/?=b", "/ {|b}"},          {__LINE__, "/?=", "/ {|}"},
        {__LINE__, "/?a&b=1", "/ {a|} {b|1}"},
    };
    check_all(TABLE(cases));
}

TEST(empty_segments_of_the_query_are_no_parameters)
{
    static const struct whole cases[] = {
        {__LINE__, "/?", "/"},
        {__LINE__, "/?&", "/"},
        {__LINE__, "/?&&&", "/"},
        {__LINE__, "/?&a=1&&b=2&", "/ {a|1} {b|2}"},
        {__LINE__, "/?&&&&&&&&&&&&&&&&&&&&a", "/ {a|}"},
    };
    check_all(TABLE(cases));
}

TEST(everything_is_decoded_once)
{
    static const struct whole cases[] = {
        {__LINE__, "/%68ealth", "/health"},
        {__LINE__, "/%7e%7E%2e%2E", "/~~.."},
        {__LINE__, "/?n%61me=%41d%61", "/ {name|Ada}"},
        {__LINE__, "/%2541?%2541=%2541", "/%41 {%41|%41}"},
        {__LINE__, "/%C3%A9?name=%E4%B8%96%F0%9F%91%8B",
         "/\xC3\xA9 {name|\xE4\xB8\x96\xF0\x9F\x91\x8B}"},
        {__LINE__, "/?a=%c2%a0%C2%A0", "/ {a|\xC2\xA0\xC2\xA0}"},
    };
    check_all(TABLE(cases));
}

TEST(a_delimiter_that_is_encoded_delimits_nothing)
{
    static const struct whole cases[] = {
        {__LINE__, "/%3Fname=Ada", "/?name=Ada"}, {__LINE__, "/a%2Fb", "/a/b"},
        {__LINE__, "/?a=1%26b=2", "/ {a|1&b=2}"}, {__LINE__, "/?a%3Db=c", "/ {a=b|c}"},
        {__LINE__, "/?a=%25%32%35", "/ {a|%25}"}, {__LINE__, "/?a=%23%3f", "/ {a|#?}"},
    };
    check_all(TABLE(cases));
}

TEST(a_plus_is_a_space_in_the_query_only)
{
    static const struct whole cases[] = {
        {__LINE__, "/a+b?c+d=e+f", "/a+b {c d|e f}"},
        {__LINE__, "/?a=%2B+%2b", "/ {a|+ +}"},
        {__LINE__, "/a%20b?a=b%20c", "/a b {a|b c}"},
        {__LINE__, "/?+", "/ { |}"},
    };
    check_all(TABLE(cases));
}

TEST(raw_utf_8_is_taken_as_it_is)
{
    static const struct whole cases[] = {
        {__LINE__, "/\xC3\xA9?n\xC3\xA9=\xE4\xB8\x96", "/\xC3\xA9 {n\xC3\xA9|\xE4\xB8\x96}"},
        {__LINE__, "/?a=\xC3%A9", "/ {a|\xC3\xA9}"}, /* what is checked is what comes out */
        {__LINE__, "/?a=b c", "/ {a|b c}"},
    };
    check_all(TABLE(cases));
}

TEST(an_absolute_target_loses_scheme_and_authority)
{
    static const struct whole cases[] = {
        {__LINE__, "http://example.org/health", "/health"},
        {__LINE__, "https://example.org/health", "/health"},
        {__LINE__, "HTTP://EXAMPLE.ORG/Health", "/Health"},
        {__LINE__, "hTTpS://example.org:8443/?a=b", "/ {a|b}"},
        {__LINE__, "http://example.org", "/"},
        {__LINE__, "http://example.org?a=b", "/ {a|b}"},
        {__LINE__, "http://example.org?a=/b", "/ {a|/b}"},
        {__LINE__, "http://[::1]:8080//x", "//x"},
        {__LINE__, "http://%zz@example.org/", "/"},
        {__LINE__, "/http://example.org/health", "/http://example.org/health"},
        {__LINE__, "/?to=http://example.org/", "/ {to|http://example.org/}"},
    };
    check_all(TABLE(cases));
}

TEST(a_target_that_does_not_begin_with_a_slash_is_refused)
{
    static const char *const targets[] = {"health", "%2Fhealth", "*", "ftp://example.org/health",
                                          "http:/example.org/"};
    for (size_t i = 0; i < LENGTH(targets); i++)
        check_fault(__LINE__, targets[i], 400, "The request target does not begin with a slash.");
}

TEST(an_empty_path_is_the_root)
{
    check(__LINE__, "?a=b", "/ {a|b}");
    check(__LINE__, "?", "/");
}

TEST(no_target_is_a_fault)
{
    check_fault(__LINE__, "", 400, "The request has no target.");
}

TEST(a_percent_sign_needs_two_hexadecimal_digits)
{
    static const char path[] = "The path has a '%' that is not followed by two hexadecimal digits.";
    static const char value[] =
        "The query parameter \"a\" has a '%' that is not followed by two hexadecimal digits.";
    static const char name[] = "The name of query parameter 1 has a '%' that is not followed by "
                               "two hexadecimal digits.";
    static const struct faulty cases[] = {
        {__LINE__, "/%", 400, path},        {__LINE__, "/%4", 400, path},
        {__LINE__, "/%4g", 400, path},      {__LINE__, "/%g4", 400, path},
        {__LINE__, "/%%41", 400, path},     {__LINE__, "/% 41", 400, path},
        {__LINE__, "/%/0", 400, path},      {__LINE__, "/%0:", 400, path},
        {__LINE__, "/%@0", 400, path},      {__LINE__, "/%0G", 400, path},
        {__LINE__, "/%`0", 400, path},      {__LINE__, "/%-1", 400, path},
        {__LINE__, "/%4?a=b", 400, path},   {__LINE__, "/%?41", 400, path},
        {__LINE__, "/?a=%", 400, value},    {__LINE__, "/?a=%4", 400, value},
        {__LINE__, "/?a=%4&1", 400, value}, {__LINE__, "/?a=%+1", 400, value},
        {__LINE__, "/?a%=b", 400, name},    {__LINE__, "/?%4=1", 400, name},
    };
    check_faults(TABLE(cases));
}

TEST(a_nul_character_is_a_fault)
{
    static const struct faulty cases[] = {
        {__LINE__, "/%00", 400, "The path has a NUL character."},
        {__LINE__, "/health%00x", 400, "The path has a NUL character."},
        {__LINE__, "/?a=%00", 400, "The query parameter \"a\" has a NUL character."},
        {__LINE__, "/?a%00=b", 400, "The name of query parameter 1 has a NUL character."},
    };
    check_faults(TABLE(cases));
}

TEST(a_control_character_is_a_fault_raw_or_encoded)
{
    static const char path[] = "The path has a control character.";
    static const char value[] = "The query parameter \"a\" has a control character.";
    static const struct faulty cases[] = {
        {__LINE__, "/%0D%0A", 400, path},
        {__LINE__, "/\x01", 400, path},
        {__LINE__, "/\t", 400, path},
        {__LINE__, "/%C2%85", 400, path},
        {__LINE__, "/?a=%0A", 400, value},
        {__LINE__, "/?a=\n", 400, value},
        {__LINE__, "/?a=%7F", 400, value},
        {__LINE__, "/?a=\x7F", 400, value},
        {__LINE__, "/?a=%1b", 400, value},
        {__LINE__, "/?a=\xC2\x9F", 400, value},
        {__LINE__, "/?\x1F", 400, "The name of query parameter 1 has a control character."},
    };
    check_faults(TABLE(cases));
}

TEST(a_noncharacter_is_a_fault_raw_or_encoded)
{
    static const struct faulty cases[] = {
        {__LINE__, "/%EF%BF%BF", 400, "The path has a noncharacter, such as U+FFFF."},
        {__LINE__, "/?a=\xEF\xB7\x90", 400,
         "The query parameter \"a\" has a noncharacter, such as U+FFFF."},
        {__LINE__, "/?%F4%8F%BF%BE", 400,
         "The name of query parameter 1 has a noncharacter, such as U+FFFF."},
    };
    check_faults(TABLE(cases));
}

TEST(bytes_that_are_not_utf_8_are_a_fault_raw_or_encoded)
{
    static const char path[] = "The path is not valid UTF-8.";
    static const char value[] = "The query parameter \"a\" is not valid UTF-8.";
    static const struct faulty cases[] = {
        {__LINE__, "/%FF", 400, path},
        {__LINE__, "/\xFF", 400, path},
        {__LINE__, "/%C3", 400, path},
        {__LINE__, "/%C0%AF", 400, path},
        {__LINE__, "/?a=%ED%A0%80", 400, value},
        {__LINE__, "/?a=\xC3", 400, value},
        {__LINE__, "/?a=%C3&b=%A9", 400, value},
        {__LINE__, "/?a=%C3+%A9", 400, value},
        {__LINE__, "/?%FF", 400, "The name of query parameter 1 is not valid UTF-8."},
    };
    check_faults(TABLE(cases));
}

TEST(a_faulty_name_is_told_by_its_place)
{
    static const struct faulty cases[] = {
        {__LINE__, "/?a&b&%FF", 400, "The name of query parameter 3 is not valid UTF-8."},
        {__LINE__, "/?&&a=1&&%00=1", 400, "The name of query parameter 2 has a NUL character."},
        {__LINE__, "/?\"<b>\"=%FF", 400, "The query parameter \"\"<b>\"\" is not valid UTF-8."},
        {__LINE__, "/?=%FF", 400, "The query parameter \"\" is not valid UTF-8."},
        {__LINE__, "/?%C3%A9=%FF", 400, "The query parameter \"\xC3\xA9\" is not valid UTF-8."},
    };
    check_faults(TABLE(cases));
}

TEST(a_target_of_8192_bytes_is_taken_and_one_more_is_too_long)
{
    char raw[TARGET_MAX + 2] = "/?a=";
    memset(raw + 4, 'b', TARGET_MAX - 4);
    char expected[TARGET_MAX + 3];
    snprintf(expected, sizeof(expected), "/ {a|%s}", repeated("b", TARGET_MAX - 4));
    check(__LINE__, raw, expected);
    memset(raw, '/', TARGET_MAX);
    check(__LINE__, raw, "////////");
    raw[TARGET_MAX] = '/';
    check_fault(__LINE__, raw, 414, "The request target is longer than 8192 bytes.");
}

TEST(a_query_has_at_most_16_parameters)
{
    char raw[256] = "/?", expected[256] = "/";
    for (int i = 0; i < PARAMETERS_MAX; i++) {
        strcat(raw, "a=1&&");
        strcat(expected, " {a|1}");
    }
    check(__LINE__, raw, expected);
    strcat(raw, "b");
    check_fault(__LINE__, raw, 400, "The request has more than 16 parameters.");
}

static void check_kept(int line, const char *raw, const char *expected)
{
    struct target target;
    struct fault fault;
    memset(&target, 'x', sizeof(target));
    target_parse(raw, &target, &fault);
    holds(line, raw, "a fault", fault.status >= 400);
    same_string(line, raw, expected, described(&target));
}

/* What an error looks like depends on ?format=, also where the error lies behind it. */
TEST(the_parameters_before_a_fault_are_kept)
{
    check_kept(__LINE__, "/?format=json&b=%FF&c=1", "/ {format|json}");
    check_kept(__LINE__, "/?a=1&b=2&%zz&c=1", "/ {a|1} {b|2}");
    check_kept(__LINE__, "/?a=%FF", "/");
    check_kept(__LINE__, "/%FF?format=html", "/\xFF {format|html}");
    check_kept(__LINE__, "", "");
    check_kept(__LINE__, repeated("/?a=b", TARGET_MAX / 4), "");
}

TEST(a_directional_character_is_a_fault_raw_or_encoded)
{
    static const char detail[] =
        "The query parameter \"name\" has a character that turns the direction of text.";
    check_fault(__LINE__, "/?name=a\u202Eb", 400, detail);
    check_fault(__LINE__, "/?name=%E2%81%A6", 400, detail);
    check_fault(__LINE__, "/%E2%80%AA", 400,
                "The path has a character that turns the direction of text.");
}

TEST(a_format_is_found_however_ill_formed_the_rest_is)
{
    static const struct {
        int line;
        const char *raw;
        enum format expected;
    } cases[] = {
        {__LINE__, "", FORMAT_NONE},
        {__LINE__, "/", FORMAT_NONE},
        {__LINE__, "/format=json", FORMAT_NONE},
        {__LINE__, "/?", FORMAT_NONE},
        {__LINE__, "/?format", FORMAT_NONE},
        {__LINE__, "/?format=", FORMAT_NONE},
        {__LINE__, "/?format=xml", FORMAT_NONE},
        {__LINE__, "/?format=json%00", FORMAT_NONE},
        {__LINE__, "/?format=json=", FORMAT_NONE},
        {__LINE__, "/?formats=json", FORMAT_NONE},
        {__LINE__, "/?Format=json", FORMAT_NONE},
        {__LINE__, "/?format=JSON", FORMAT_NONE},
        {__LINE__, "/?format=text", FORMAT_TEXT},
        {__LINE__, "?format=html", FORMAT_HTML},
        {__LINE__, "/?format=json", FORMAT_JSON},
        {__LINE__, "%?format=json", FORMAT_JSON},
        {__LINE__, "/?%66%6F%72%6d%61%74=%6A%73%6F%6E", FORMAT_JSON},
        {__LINE__, "/?%66%6F%72%6d%61%74=%74%65%78%74", FORMAT_TEXT},
        {__LINE__, "/?%FF&=&&name=%&format=json&%", FORMAT_JSON},
        {__LINE__, "/?format=%&format=html", FORMAT_HTML},
        {__LINE__, "/?format=xml&format=html&format=json", FORMAT_HTML},
        {__LINE__, "/?1&2&3&4&5&6&7&8&9&0&a&b&c&d&e&f&g&h&format=json", FORMAT_JSON},
        {__LINE__, "http://example.org?format=json", FORMAT_JSON},
    };
    for (size_t i = 0; i < LENGTH(cases); i++)
        same_number(cases[i].line, cases[i].raw, cases[i].expected,
                    target_format(walled_string(cases[i].line, cases[i].raw)));
}

TEST(a_name_of_up_to_32_code_points_is_quoted)
{
    static const char *const code_points[] = {"a", "\"", "\xC3\xA9", "\xF0\x9F\x91\x8B"};
    for (size_t i = 0; i < LENGTH(code_points); i++) {
        for (size_t count = 0; count <= 33; count++) {
            const char *name = repeated(code_points[i], count);
            char raw[256], detail[256];
            snprintf(raw, sizeof(raw), "/?%s=%%FF", name);
            snprintf(detail, sizeof(detail), "The query parameter \"%s\" is not valid UTF-8.",
                     count > 32 ? "(over-long name)" : name);
            check_fault(__LINE__, raw, 400, detail);
        }
    }
}

TEST(a_fault_is_cut_to_what_it_holds)
{
    struct fault *fault = walled(__LINE__, sizeof(*fault));
    fault_set(fault, 413, "%d bytes, %s", 17, "too many");
    assert_int_equal(fault->status, 413);
    assert_string_equal(fault->detail, "17 bytes, too many");
    const char *text = repeated("a", sizeof(fault->detail));
    fault_set(fault, 400, "%s", text);
    assert_int_equal(fault->status, 400);
    assert_int_equal(strlen(fault->detail), sizeof(fault->detail) - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_target_is_a_path_and_parameters),
        cmocka_unit_test(the_first_of_each_delimiter_counts),
        cmocka_unit_test(a_parameter_may_lack_value_or_name),
        cmocka_unit_test(empty_segments_of_the_query_are_no_parameters),
        cmocka_unit_test(everything_is_decoded_once),
        cmocka_unit_test(a_delimiter_that_is_encoded_delimits_nothing),
        cmocka_unit_test(a_plus_is_a_space_in_the_query_only),
        cmocka_unit_test(raw_utf_8_is_taken_as_it_is),
        cmocka_unit_test(an_absolute_target_loses_scheme_and_authority),
        cmocka_unit_test(a_target_that_does_not_begin_with_a_slash_is_refused),
        cmocka_unit_test(an_empty_path_is_the_root),
        cmocka_unit_test(no_target_is_a_fault),
        cmocka_unit_test(a_percent_sign_needs_two_hexadecimal_digits),
        cmocka_unit_test(a_nul_character_is_a_fault),
        cmocka_unit_test(a_control_character_is_a_fault_raw_or_encoded),
        cmocka_unit_test(a_noncharacter_is_a_fault_raw_or_encoded),
        cmocka_unit_test(bytes_that_are_not_utf_8_are_a_fault_raw_or_encoded),
        cmocka_unit_test(a_faulty_name_is_told_by_its_place),
        cmocka_unit_test(a_target_of_8192_bytes_is_taken_and_one_more_is_too_long),
        cmocka_unit_test(a_query_has_at_most_16_parameters),
        cmocka_unit_test(the_parameters_before_a_fault_are_kept),
        cmocka_unit_test(a_directional_character_is_a_fault_raw_or_encoded),
        cmocka_unit_test(a_format_is_found_however_ill_formed_the_rest_is),
        cmocka_unit_test(a_name_of_up_to_32_code_points_is_quoted),
        cmocka_unit_test(a_fault_is_cut_to_what_it_holds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
