/* Entity tags, If-Match and If-None-Match: RFC 9110 sections 8.8.3 and 13.1. */
#include "cases.h"

#include "core/entity_tag.h"

#define OURS "\"0123456789abcdef\""

struct list {
    int line;
    const char *field;
    bool listed; /* by a weak comparison */
};

static void check_as(enum comparison comparison, const struct list cases[], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const int line = cases[i].line;
        const char *field = cases[i].field;
        const bool listed = entity_tag_listed(walled_string(line, field), OURS, comparison);
        same_string(line, field, cases[i].listed ? "listed" : "not listed",
                    listed ? "listed" : "not listed");
    }
}

static void check(const struct list cases[], size_t count)
{
    check_as(COMPARE_WEAKLY, cases, count);
}

/* Where the comparison makes no difference. */
static void check_both(const struct list cases[], size_t count)
{
    check_as(COMPARE_WEAKLY, cases, count);
    check_as(COMPARE_STRONGLY, cases, count);
}

static void tag_of(const char *type, const char *body, char tag[ENTITY_TAG_SIZE])
{
    char bytes[64];
    struct text text = text_in(bytes, sizeof(bytes));
    text_add(&text, body);
    entity_tag_of(type, &text, tag);
}

TEST(the_tag_is_quoted_and_the_same_everywhere)
{
    char *tag = walled(__LINE__, ENTITY_TAG_SIZE);
    memset(tag, 'x', ENTITY_TAG_SIZE);
    tag_of("text/plain", "Hello World\n", tag);
    same_string(__LINE__, "the tag", "\"519edb171ee4b6b0\"", tag);
}

enum { BODY_BITS = 29 * 8, VARIANTS = BODY_BITS * (BODY_BITS + 1) / 2 + 30 };

static int compare(const void *first, const void *second)
{
    return strcmp(first, second);
}

static void flip(char *body, size_t bit)
{
    body[bit / 8] ^= (char)(1 << bit % 8);
}

/* Bodies that differ in one bit or two, and those that are NULs only, of each length. */
static size_t tag_variants(char tags[VARIANTS][ENTITY_TAG_SIZE])
{
    char body[BODY_BITS / 8 + 1] = "";
    size_t count = 0;
    for (size_t length = 0; length <= BODY_BITS / 8; length++)
        entity_tag_of("", &(struct text){.bytes = body, .length = length}, tags[count++]);
    for (size_t i = 0; i < BODY_BITS; i++) {
        for (size_t k = i; k < BODY_BITS; k++) {
            flip(body, i);
            if (k != i)
                flip(body, k);
            entity_tag_of("", &(struct text){.bytes = body, .length = BODY_BITS / 8},
                          tags[count++]);
            memset(body, 0, sizeof(body));
        }
    }
    return count;
}

TEST(no_two_of_many_similar_bodies_have_the_same_tag)
{
    static char tags[VARIANTS][ENTITY_TAG_SIZE];
    const size_t count = tag_variants(tags);
    assert_int_equal(count, VARIANTS);
    qsort(tags, count, sizeof(tags[0]), compare);
    for (size_t i = 1; i < count; i++)
        assert_string_not_equal(tags[i - 1], tags[i]);
}

TEST(a_change_of_type_or_body_changes_the_tag)
{
    static const char *const others[][2] = {{"text/html", "Hello World\n"},
                                            {"text/plain", "Hello World"},
                                            {"text/plain", "Hello Worle\n"}};
    char tag[ENTITY_TAG_SIZE], other[ENTITY_TAG_SIZE];
    tag_of("text/plain", "Hello World\n", tag);
    for (size_t i = 0; i < LENGTH(others); i++) {
        tag_of(others[i][0], others[i][1], other);
        assert_string_not_equal(tag, other);
    }
    tag_of("text/plain", "Hello World\n", other);
    assert_string_equal(tag, other);
}

TEST(no_field_lists_nothing)
{
    static const struct list cases[] = {
        {__LINE__, "", false},
        {__LINE__, " \t", false},
        {__LINE__, ",", false},
        {__LINE__, ", ,", false},
    };
    check_both(TABLE(cases));
}

TEST(an_asterisk_that_stands_alone_lists_everything)
{
    static const struct list cases[] = {
        {__LINE__, "*", true},         {__LINE__, " *", true},   {__LINE__, "\t*\t ", true},
        {__LINE__, "\"*\"", false},    {__LINE__, "**", false},  {__LINE__, "*x", false},
        {__LINE__, "W/*", false},      {__LINE__, "* *", false}, {__LINE__, "\"a\", *", false},
        {__LINE__, "*, \"a\"", false},
    };
    check_both(TABLE(cases));
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
    check_both(TABLE(cases));
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
    check_both(TABLE(cases));
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
    check_both(TABLE(cases));
}

TEST(a_weak_tag_equals_none_in_a_strong_comparison)
{
    static const struct list cases[] = {
        {__LINE__, "W/" OURS, false},
        {__LINE__, "\"a\", W/" OURS, false},
        {__LINE__, "W/" OURS ", " OURS, true},
        {__LINE__, "W/\"a\", " OURS, true},
    };
    check_as(COMPARE_STRONGLY, TABLE(cases));
}

TEST(a_field_that_is_ill_formed_anywhere_lists_nothing)
{
    static const char *const ill_formed[] = {
        "0123456789abcdef",
        "\"0123456789abcdef",
        "0123456789abcdef\"",
        "'0123456789abcdef'",
        "\"",
        "W",
        "W/",
        "W/0123456789abcdef",
        "w/" OURS,
        "W/ " OURS,
        "W/W/" OURS,
        "a, " OURS,
        "\"a\"; " OURS,
        OURS OURS,
        OURS " " OURS,
        "\"a b\"",
        "\"a\x7F\"",
        "\"a\tb\"",
        "*",
        "a",
        "\"a\"x",
    };
    static const char *const forms[] = {"%s", "%s, " OURS, OURS ", %s", OURS ",, %s ,"};
    for (size_t i = 0; i < LENGTH(ill_formed) * LENGTH(forms); i++) {
        char list[128];
        snprintf(list, sizeof(list), forms[i % LENGTH(forms)], ill_formed[i / LENGTH(forms)]);
        if (strcmp(list, "*") != 0)
            check_both(&(struct list){__LINE__, list, false}, 1);
    }
}

TEST(a_representation_without_a_tag_is_listed_by_the_asterisk_only)
{
    assert_true(entity_tag_listed("*", "", COMPARE_STRONGLY));
    assert_true(entity_tag_listed("*", "", COMPARE_WEAKLY));
    assert_false(entity_tag_listed("\"\", \"a\"", "", COMPARE_WEAKLY));
    assert_false(entity_tag_listed("", "", COMPARE_WEAKLY));
}

TEST(no_other_tag_than_the_same_is_listed)
{
    char tag[ENTITY_TAG_SIZE] = OURS;
    for (size_t i = 1; i < ENTITY_TAG_SIZE - 2; i++) {
        tag[i] = (char)(tag[i] ^ 1);
        assert_false(entity_tag_listed(tag, OURS, COMPARE_WEAKLY));
        assert_true(entity_tag_listed(tag, tag, COMPARE_STRONGLY));
        tag[i] = OURS[i];
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_tag_is_quoted_and_the_same_everywhere),
        cmocka_unit_test(no_two_of_many_similar_bodies_have_the_same_tag),
        cmocka_unit_test(a_change_of_type_or_body_changes_the_tag),
        cmocka_unit_test(no_field_lists_nothing),
        cmocka_unit_test(an_asterisk_that_stands_alone_lists_everything),
        cmocka_unit_test(our_tag_is_found_wherever_it_stands_in_the_list),
        cmocka_unit_test(other_tags_are_not_ours),
        cmocka_unit_test(a_weak_tag_compares_like_a_strong_one),
        cmocka_unit_test(a_comma_inside_a_tag_separates_nothing),
        cmocka_unit_test(a_weak_tag_equals_none_in_a_strong_comparison),
        cmocka_unit_test(a_field_that_is_ill_formed_anywhere_lists_nothing),
        cmocka_unit_test(a_representation_without_a_tag_is_listed_by_the_asterisk_only),
        cmocka_unit_test(no_other_tag_than_the_same_is_listed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
