/* Entity tags and If-None-Match: RFC 9110 sections 8.8.3 and 13.1.2. */
#include "cases.h"

#include "core/entity_tag.h"

#include <inttypes.h>

static const uint64_t our_tag = UINT64_C(0x0123456789abcdef);
#define OURS "\"0123456789abcdef\""

struct list {
    int line;
    const char *if_none_match;
    bool listed;
};

static void check(const struct list cases[], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const int line = cases[i].line;
        const char *field = cases[i].if_none_match;
        const bool listed = entity_tag_listed(walled_string(line, field), our_tag);
        same_string(line, field, cases[i].listed ? "listed" : "not listed",
                    listed ? "listed" : "not listed");
    }
}

/* The published test vectors of FNV-1a: http://www.isthe.com/chongo/src/fnv/test_fnv.c */
TEST(the_tag_is_fnv_1a_over_type_and_body)
{
    static const struct {
        int line;
        const char *type, *body;
        uint64_t expected;
    } cases[] = {
        {__LINE__, "", "", UINT64_C(0xcbf29ce484222325)},
        {__LINE__, "a", "", UINT64_C(0xaf63dc4c8601ec8c)},
        {__LINE__, "", "a", UINT64_C(0xaf63dc4c8601ec8c)},
        {__LINE__, "foo", "bar", UINT64_C(0x85944171f73967e8)},
        {__LINE__, "foobar", "", UINT64_C(0x85944171f73967e8)},
        {__LINE__, "", "\xFF", UINT64_C(0xaf64724c8602eb6e)},
    };
    for (size_t i = 0; i < LENGTH(cases); i++)
        same_number(cases[i].line, cases[i].body, cases[i].expected,
                    entity_tag_of(cases[i].type, cases[i].body));
}

TEST(a_change_of_type_or_body_changes_the_tag)
{
    const uint64_t tag = entity_tag_of("text/plain", "Hello World\n");
    assert_true(tag != entity_tag_of("text/html", "Hello World\n"));
    assert_true(tag != entity_tag_of("text/plain", "Hello World"));
    assert_true(tag != entity_tag_of("text/plain", "Hello Worle\n"));
    assert_true(tag == entity_tag_of("text/plain", "Hello World\n"));
}

TEST(a_tag_is_printed_with_quotes_and_leading_zeros)
{
    static const struct {
        int line;
        uint64_t tag;
        const char *expected;
    } cases[] = {
        {__LINE__, 0, "\"0000000000000000\""},
        {__LINE__, 0xab, "\"00000000000000ab\""},
        {__LINE__, our_tag, OURS},
        {__LINE__, UINT64_MAX, "\"ffffffffffffffff\""},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        char *printed = walled(cases[i].line, ENTITY_TAG_SIZE);
        memset(printed, 'x', ENTITY_TAG_SIZE);
        entity_tag_print(cases[i].tag, printed);
        same_string(cases[i].line, "", cases[i].expected, printed);
    }
}

TEST(no_field_lists_nothing)
{
    static const struct list cases[] = {
        {__LINE__, NULL, false}, {__LINE__, "", false},    {__LINE__, " \t", false},
        {__LINE__, ",", false},  {__LINE__, ", ,", false},
    };
    check(TABLE(cases));
}

TEST(an_asterisk_that_stands_alone_lists_everything)
{
    static const struct list cases[] = {
        {__LINE__, "*", true},         {__LINE__, " *", true},   {__LINE__, "\t*\t ", true},
        {__LINE__, "\"*\"", false},    {__LINE__, "**", false},  {__LINE__, "*x", false},
        {__LINE__, "W/*", false},      {__LINE__, "* *", false}, {__LINE__, "\"a\", *", false},
        {__LINE__, "*, \"a\"", false},
    };
    check(TABLE(cases));
}

TEST(our_tag_is_found_wherever_it_stands_in_the_list)
{
    static const struct list cases[] = {
        {__LINE__, OURS, true},
        {__LINE__, " \t" OURS " \t", true},
        {__LINE__, OURS ", \"a\"", true},
        {__LINE__, "\"a\", " OURS, true},
        {__LINE__, "\"a\"," OURS ",\"b\"", true},
        {__LINE__, "\"a\" \t, \t" OURS, true},
        {__LINE__, ",, \"a\",," OURS ",", true},
        {__LINE__, "\"\", " OURS, true},
        {__LINE__, "\"fedcba9876543210\", " OURS, true},
    };
    check(TABLE(cases));
}

TEST(other_tags_are_not_ours)
{
    static const struct list cases[] = {
        {__LINE__, "\"\"", false},
        {__LINE__, "\"a\"", false},
        {__LINE__, "\"0123456789abcdee\"", false},
        {__LINE__, "\"1123456789abcdef\"", false},
        {__LINE__, "\"0123456789abcde\"", false},
        {__LINE__, "\"0123456789abcdef0\"", false},
        {__LINE__, "\"00123456789abcdef\"", false},
        {__LINE__, "\"0123456789ABCDEF\"", false},
        {__LINE__, "\" 0123456789abcdef\"", false},
        {__LINE__, "\"a\", \"b\", W/\"c\"", false},
    };
    check(TABLE(cases));
}

TEST(a_weak_tag_compares_like_a_strong_one)
{
    static const struct list cases[] = {
        {__LINE__, "W/" OURS, true},
        {__LINE__, "\"a\", W/" OURS, true},
        {__LINE__, "W/\"a\", " OURS, true},
        {__LINE__, "W/\"a\",W/\"b\"", false},
    };
    check(TABLE(cases));
}

TEST(a_comma_inside_a_tag_separates_nothing)
{
    static const struct list cases[] = {
        {__LINE__, "\"a,b\", " OURS, true},
        {__LINE__, "\",\"," OURS, true},
        {__LINE__, "\"a,W/b\", W/\",\", " OURS, true},
        {__LINE__, "\", \"0123456789abcdef\", \"", false}, /* the quotes close and open others */
        {__LINE__, "\"a,0123456789abcdef\"", false},
        {__LINE__, "\"\\\", " OURS, true}, /* section 8.8.3: a backslash escapes nothing */
    };
    check(TABLE(cases));
}

TEST(an_ill_formed_field_lists_nothing)
{
    static const struct list cases[] = {
        {__LINE__, "0123456789abcdef", false},
        {__LINE__, "\"0123456789abcdef", false},
        {__LINE__, "0123456789abcdef\"", false},
        {__LINE__, "'0123456789abcdef'", false},
        {__LINE__, "\"", false},
        {__LINE__, "\"a\", \"", false},
        {__LINE__, "W", false},
        {__LINE__, "W/", false},
        {__LINE__, "W/0123456789abcdef", false},
        {__LINE__, "w/" OURS, false},
        {__LINE__, "W/ " OURS, false},
        {__LINE__, "W/W/" OURS, false},
        {__LINE__, "a, " OURS, false},
        {__LINE__, "\"a\"; " OURS, false},
    };
    check(TABLE(cases));
}

TEST(a_printed_tag_is_listed)
{
    for (uint64_t tag = 1; tag; tag <<= 1) {
        char printed[ENTITY_TAG_SIZE];
        entity_tag_print(tag, printed);
        same_number(__LINE__, printed, true, entity_tag_listed(printed, tag));
        same_number(__LINE__, printed, false, entity_tag_listed(printed, tag ^ 1));
        same_number(__LINE__, printed, false, entity_tag_listed(printed, ~tag));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_tag_is_fnv_1a_over_type_and_body),
        cmocka_unit_test(a_change_of_type_or_body_changes_the_tag),
        cmocka_unit_test(a_tag_is_printed_with_quotes_and_leading_zeros),
        cmocka_unit_test(no_field_lists_nothing),
        cmocka_unit_test(an_asterisk_that_stands_alone_lists_everything),
        cmocka_unit_test(our_tag_is_found_wherever_it_stands_in_the_list),
        cmocka_unit_test(other_tags_are_not_ours),
        cmocka_unit_test(a_weak_tag_compares_like_a_strong_one),
        cmocka_unit_test(a_comma_inside_a_tag_separates_nothing),
        cmocka_unit_test(an_ill_formed_field_lists_nothing),
        cmocka_unit_test(a_printed_tag_is_listed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
