/* Well-formed UTF-8: RFC 3629. */
#include "cases.h"

#include "core/utf8.h"

struct sequence {
    int line;
    const char *string;
    enum utf8_fault expected;
};

static const char *name_of(enum utf8_fault fault)
{
    static const char *const names[] = {"ok",          "malformed",    "control",
                                        "directional", "noncharacter", "too long"};
    return names[fault];
}

static void check(int line, const char *string, size_t max, enum utf8_fault expected)
{
    const enum utf8_fault got = utf8_check(walled_string(line, string), max);
    same_string(line, string, name_of(expected), name_of(got));
}

static void check_all(const struct sequence cases[], size_t count)
{
    for (size_t i = 0; i < count; i++)
        check(cases[i].line, cases[i].string, SIZE_MAX, cases[i].expected);
}

/* Every pair of neighbours of section 4's table, so that no bound can move. */
TEST(the_bounds_of_each_length_are_those_of_the_rfc)
{
    static const struct sequence cases[] = {
        {__LINE__, "", UTF8_OK},
        {__LINE__, " ", UTF8_OK},
        {__LINE__, "~", UTF8_OK},
        {__LINE__, "\xC2\xA0", UTF8_OK},
        {__LINE__, "\xDF\xBF", UTF8_OK},
        {__LINE__, "\xE0\xA0\x80", UTF8_OK},
        {__LINE__, "\xE0\xBF\xBF", UTF8_OK},
        {__LINE__, "\xE1\x80\x80", UTF8_OK},
        {__LINE__, "\xEC\xBF\xBF", UTF8_OK},
        {__LINE__, "\xED\x80\x80", UTF8_OK},
        {__LINE__, "\xED\x9F\xBF", UTF8_OK},
        {__LINE__, "\xEE\x80\x80", UTF8_OK},
        {__LINE__, "\xEF\xBF\xBD", UTF8_OK},
        {__LINE__, "\xF0\x90\x80\x80", UTF8_OK},
        {__LINE__, "\xF3\xBF\xBF\xBD", UTF8_OK},
        {__LINE__, "\xF4\x80\x80\x80", UTF8_OK},
        {__LINE__, "\xF4\x8F\xBF\xBD", UTF8_OK},
    };
    check_all(TABLE(cases));
}

TEST(over_long_forms_are_malformed)
{
    static const struct sequence cases[] = {
        {__LINE__, "\xC0\x80", UTF8_MALFORMED},
        {__LINE__, "\xC0\xAF", UTF8_MALFORMED},
        {__LINE__, "\xC1\xBF", UTF8_MALFORMED},
        {__LINE__, "\xE0\x80\x80", UTF8_MALFORMED},
        {__LINE__, "\xE0\x9F\xBF", UTF8_MALFORMED},
        {__LINE__, "\xF0\x80\x80\x80", UTF8_MALFORMED},
        {__LINE__, "\xF0\x8F\xBF\xBF", UTF8_MALFORMED},
        {__LINE__, "\xF8\x88\x80\x80\x80", UTF8_MALFORMED},
        {__LINE__, "\xFC\x84\x80\x80\x80\x80", UTF8_MALFORMED},
    };
    check_all(TABLE(cases));
}

TEST(surrogates_are_malformed)
{
    static const struct sequence cases[] = {
        {__LINE__, "\xED\xA0\x80", UTF8_MALFORMED},
        {__LINE__, "\xED\xAF\xBF", UTF8_MALFORMED},
        {__LINE__, "\xED\xB0\x80", UTF8_MALFORMED},
        {__LINE__, "\xED\xBF\xBF", UTF8_MALFORMED},
        {__LINE__, "\xED\xA0\xBD\xED\xB8\x80", UTF8_MALFORMED},
    };
    check_all(TABLE(cases));
}

TEST(what_lies_beyond_u_10ffff_is_malformed)
{
    static const struct sequence cases[] = {
        {__LINE__, "\xF4\x90\x80\x80", UTF8_MALFORMED},
        {__LINE__, "\xF4\xBF\xBF\xBF", UTF8_MALFORMED},
        {__LINE__, "\xF5\x80\x80\x80", UTF8_MALFORMED},
        {__LINE__, "\xF7\xBF\xBF\xBF", UTF8_MALFORMED},
        {__LINE__, "\xFE", UTF8_MALFORMED},
        {__LINE__, "\xFF", UTF8_MALFORMED},
    };
    check_all(TABLE(cases));
}

TEST(a_sequence_that_the_end_cuts_short_is_malformed)
{
    static const struct sequence cases[] = {
        {__LINE__, "\xC3", UTF8_MALFORMED},
        {__LINE__, "\xE2", UTF8_MALFORMED},
        {__LINE__, "\xE2\x82", UTF8_MALFORMED},
        {__LINE__, "\xE0\xA0", UTF8_MALFORMED},
        {__LINE__, "\xED\x80", UTF8_MALFORMED},
        {__LINE__, "\xF0", UTF8_MALFORMED},
        {__LINE__, "\xF0\x9F", UTF8_MALFORMED},
        {__LINE__, "\xF0\x9F\x91", UTF8_MALFORMED},
        {__LINE__, "\xF4", UTF8_MALFORMED},
        {__LINE__, "\xF4\x8F", UTF8_MALFORMED},
        {__LINE__, "\xF4\x8F\xBF", UTF8_MALFORMED},
        {__LINE__, "name\xC3", UTF8_MALFORMED},
        {__LINE__, "name\xE2\x82", UTF8_MALFORMED},
        {__LINE__, "\xC3\xA9\xC3", UTF8_MALFORMED},
        {__LINE__, "\xE2\x82\xAC\xE2\x82", UTF8_MALFORMED},
    };
    check_all(TABLE(cases));
}

TEST(a_continuation_byte_must_follow_and_only_follow_a_leading_byte)
{
    static const struct sequence cases[] = {
        {__LINE__, "\x80", UTF8_MALFORMED},
        {__LINE__, "\xBF", UTF8_MALFORMED},
        {__LINE__, "a\x80", UTF8_MALFORMED},
        {__LINE__, "\xC3\xA9\xA9", UTF8_MALFORMED},
        {__LINE__, "\xC3\xC3\xA9", UTF8_MALFORMED},
        {__LINE__, "\xC3\x7F", UTF8_MALFORMED},
        {__LINE__, "\xC3\xC0", UTF8_MALFORMED},
        {__LINE__, "\xC3(", UTF8_MALFORMED},
        {__LINE__, "\xE2\x7F\x80", UTF8_MALFORMED},
        {__LINE__, "\xE2\xC0\x80", UTF8_MALFORMED},
        {__LINE__, "\xE2\x82\x7F", UTF8_MALFORMED},
        {__LINE__, "\xE2\x82\xC0", UTF8_MALFORMED},
        {__LINE__, "\xE2\x82(", UTF8_MALFORMED},
        {__LINE__, "\xF1\x7F\x80\x80", UTF8_MALFORMED},
        {__LINE__, "\xF0\x9F\x7F\x80", UTF8_MALFORMED},
        {__LINE__, "\xF0\x9F\x91\xC0", UTF8_MALFORMED},
        {__LINE__, "\xF0\x9F\x91(", UTF8_MALFORMED},
    };
    check_all(TABLE(cases));
}

TEST(the_first_continuation_byte_is_bounded_for_every_leading_byte)
{
    static const struct sequence cases[] = {
        {__LINE__, "\xE0\xC0\x80", UTF8_MALFORMED},
        {__LINE__, "\xED\x7F\x80", UTF8_MALFORMED},
        {__LINE__, "\xEE\x7F\x80", UTF8_MALFORMED},
        {__LINE__, "\xEE\xC0\x80", UTF8_MALFORMED},
        {__LINE__, "\xF0\xC0\x80\x80", UTF8_MALFORMED},
        {__LINE__, "\xF1\xC0\x80\x80", UTF8_MALFORMED},
        {__LINE__, "\xF4\x7F\x80\x80", UTF8_MALFORMED},
    };
    check_all(TABLE(cases));
}

TEST(control_characters_are_told_from_their_neighbours)
{
    static const struct sequence cases[] = {
        {__LINE__, "\x01", UTF8_CONTROL},      {__LINE__, "\t", UTF8_CONTROL},
        {__LINE__, "a\nb", UTF8_CONTROL},      {__LINE__, "a\r", UTF8_CONTROL},
        {__LINE__, "\x1B[0m", UTF8_CONTROL},   {__LINE__, "\x1F", UTF8_CONTROL},
        {__LINE__, "\x7F", UTF8_CONTROL},      {__LINE__, "\xC2\x80", UTF8_CONTROL},
        {__LINE__, "a\xC2\x85", UTF8_CONTROL}, {__LINE__, "\xC2\x9F", UTF8_CONTROL},
        {__LINE__, "\xC3\x80", UTF8_OK},       {__LINE__, "\xC3\x9F", UTF8_OK},
        {__LINE__, "\xE2\x80\xA8", UTF8_OK},   {__LINE__, "\xE1\x80\x80", UTF8_OK},
        {__LINE__, "\xDF\x80", UTF8_OK},       {__LINE__, "\xF0\x9F\x91\x8B", UTF8_OK},
    };
    check_all(TABLE(cases));
}

TEST(noncharacters_are_told_from_their_neighbours)
{
    static const struct sequence cases[] = {
        {__LINE__, "\xEF\xB7\x8F", UTF8_OK},
        {__LINE__, "\xEF\xB7\x90", UTF8_NONCHARACTER},
        {__LINE__, "a\xEF\xB7\xAF", UTF8_NONCHARACTER},
        {__LINE__, "\xEF\xB7\xB0", UTF8_OK},
        {__LINE__, "\xEF\xBF\xBD", UTF8_OK},
        {__LINE__, "\xEF\xBF\xBE", UTF8_NONCHARACTER},
        {__LINE__, "\xEF\xBF\xBF", UTF8_NONCHARACTER},
        {__LINE__, "\xF0\x9F\xBF\xBE", UTF8_NONCHARACTER},
        {__LINE__, "\xF0\x9E\xBF\xBF", UTF8_OK},
        {__LINE__, "\xF4\x8F\xBF\xBF", UTF8_NONCHARACTER},
        {__LINE__, "\xE0\xBF\xBF", UTF8_OK},
        {__LINE__, "\xEE\xBF\xBF", UTF8_OK},
    };
    check_all(TABLE(cases));
}

TEST(directional_characters_are_told_from_their_neighbours)
{
    static const struct sequence cases[] = {
        {__LINE__, "\u2029", UTF8_OK},          {__LINE__, "\u202A", UTF8_DIRECTIONAL},
        {__LINE__, "\u202E", UTF8_DIRECTIONAL}, {__LINE__, "\u202F", UTF8_OK},
        {__LINE__, "\u2065", UTF8_OK},          {__LINE__, "\u2066", UTF8_DIRECTIONAL},
        {__LINE__, "\u2069", UTF8_DIRECTIONAL}, {__LINE__, "\u206A", UTF8_OK},
        {__LINE__, "\u200E", UTF8_OK},          {__LINE__, "\u200F", UTF8_OK},
        {__LINE__, "\u061C", UTF8_OK},
    };
    check_all(TABLE(cases));
}

TEST(what_shows_nothing_is_blank)
{
    static const char *const blank[] = {
        "",           " ",          "\u00A0",       "\u00AD",
        "\u034F",     "\u061C",     "\u115F\u1160", "\u1680",
        "\u17B4",     "\u180E",     "\u2000",       "\u200A",
        "\u200B",     "\u200F",     "\u2028",       "\u2029",
        "\u202F",     "\u205F",     "\u2060",       "\u2064",
        "\u2800",     "\u3000",     "\u3164",       "\uFE0F",
        "\uFEFF",     "\uFFA0",     "\uFFF9",       "  \u200D ",
        "\t\n",       "\xC2\x85",   "\U000E0001",   "\U000E0100",
        "\U0001BCA0", "\U0001D173",
    };
    static const char *const seen[] = {
        "a",      " a",     "a ",     "\u200Ba",    "!",          "\u00AE", "\u0301", "\u1161",
        "\u2010", "\u2027", "\u2030", "\u2070",     "\u27FF",     "\u2801", "\u3001", "\uFDFF",
        "\uFE10", "\uFFFC", "\uFFFD", "\U000E1000", "\U000DFFFD", "\xFF",   " \xE2",  "\U0001F468",
    };
    for (size_t i = 0; i < LENGTH(blank); i++)
        holds(__LINE__, blank[i], "blank", utf8_is_blank(walled_string(__LINE__, blank[i])));
    for (size_t i = 0; i < LENGTH(seen); i++)
        holds(__LINE__, seen[i], "not blank", !utf8_is_blank(walled_string(__LINE__, seen[i])));
}

TEST(the_first_fault_is_the_one_that_is_told)
{
    check(__LINE__, "\x01\xFF", SIZE_MAX, UTF8_CONTROL);
    check(__LINE__, "\xFF\x01", SIZE_MAX, UTF8_MALFORMED);
    check(__LINE__, "ab\xFF", 1, UTF8_TOO_LONG);
    check(__LINE__, "ab\x01", 1, UTF8_TOO_LONG);
    check(__LINE__, "a\xFF", 2, UTF8_MALFORMED);
    check(__LINE__, "a\n", 2, UTF8_CONTROL);
}

TEST(length_is_counted_in_code_points)
{
    static const char *const code_points[] = {"a", "\xC3\xA9", "\xE4\xB8\x96", "\xF0\x9F\x91\x8B"};
    check(__LINE__, "", 0, UTF8_OK);
    for (size_t i = 0; i < LENGTH(code_points); i++) {
        check(__LINE__, code_points[i], 0, UTF8_TOO_LONG);
        check(__LINE__, code_points[i], 1, UTF8_OK);
        check(__LINE__, repeated(code_points[i], 64), 64, UTF8_OK);
        check(__LINE__, repeated(code_points[i], 65), 64, UTF8_TOO_LONG);
    }
    check(__LINE__, "a\xC3\xA9\xE4\xB8\x96\xF0\x9F\x91\x8B", 4, UTF8_OK);
    check(__LINE__, "a\xC3\xA9\xE4\xB8\x96\xF0\x9F\x91\x8B", 3, UTF8_TOO_LONG);
    check(__LINE__, "e\xCC\x81", 1, UTF8_TOO_LONG); /* a combining mark counts by itself */
}

static void encode(unsigned long code_point, char encoded[5])
{
    const int continuations = (code_point > 0x7F) + (code_point > 0x7FF) + (code_point > 0xFFFF);
    static const unsigned leads[] = {0x00, 0xC0, 0xE0, 0xF0};
    encoded[0] = (char)(leads[continuations] | code_point >> (6 * continuations));
    for (int i = 1; i <= continuations; i++)
        encoded[i] = (char)(0x80 | (code_point >> (6 * (continuations - i)) & 0x3F));
    encoded[continuations + 1] = '\0';
}

TEST(every_other_code_point_passes)
{
    for (unsigned long code_point = 1; code_point <= 0x1FFFFF; code_point++) {
        char encoded[5];
        encode(code_point, encoded);
        enum utf8_fault expected = UTF8_OK;
        if (code_point < 0x20 || (code_point >= 0x7F && code_point < 0xA0))
            expected = UTF8_CONTROL;
        if ((code_point >= 0x202A && code_point <= 0x202E) ||
            (code_point >= 0x2066 && code_point <= 0x2069))
            expected = UTF8_DIRECTIONAL;
        if ((code_point >= 0xFDD0 && code_point < 0xFDF0) || (code_point & 0xFFFE) == 0xFFFE)
            expected = UTF8_NONCHARACTER;
        if ((code_point >= 0xD800 && code_point < 0xE000) || code_point > 0x10FFFF)
            expected = UTF8_MALFORMED;
        const enum utf8_fault got = utf8_check(encoded, 1);
        if (expected != UTF8_MALFORMED) {
            uint32_t decoded;
            same_number(__LINE__, encoded, strlen(encoded), utf8_decode(encoded, &decoded));
            same_number(__LINE__, encoded, code_point, decoded);
        }
        same_string(__LINE__, encoded, name_of(expected), name_of(got));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_bounds_of_each_length_are_those_of_the_rfc),
        cmocka_unit_test(over_long_forms_are_malformed),
        cmocka_unit_test(surrogates_are_malformed),
        cmocka_unit_test(what_lies_beyond_u_10ffff_is_malformed),
        cmocka_unit_test(a_sequence_that_the_end_cuts_short_is_malformed),
        cmocka_unit_test(a_continuation_byte_must_follow_and_only_follow_a_leading_byte),
        cmocka_unit_test(the_first_continuation_byte_is_bounded_for_every_leading_byte),
        cmocka_unit_test(control_characters_are_told_from_their_neighbours),
        cmocka_unit_test(noncharacters_are_told_from_their_neighbours),
        cmocka_unit_test(directional_characters_are_told_from_their_neighbours),
        cmocka_unit_test(what_shows_nothing_is_blank),
        cmocka_unit_test(the_first_fault_is_the_one_that_is_told),
        cmocka_unit_test(length_is_counted_in_code_points),
        cmocka_unit_test(every_other_code_point_passes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
