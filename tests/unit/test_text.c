/* Text in a buffer of fixed size: escaping, and what happens when it is full. */
#include "cases.h"

#include "core/text.h"

typedef void append(struct text *text, const char *string);

struct appended {
    int line;
    append *append;
    const char *string, *expected;
};

static void add_number(struct text *text, const char *decimal)
{
    text_add_number(text, strtoul(decimal, NULL, 10));
}

static void add_json(struct text *text, const char *json)
{
    json_t *value = json_loads(json, JSON_DECODE_ANY, NULL);
    assert_non_null(value);
    text_add_json(text, value);
}

static void check(const struct appended *one, size_t size, const char *expected, bool overflowed)
{
    char *buffer = walled(one->line, size);
    memset(buffer, 'x', size);
    struct text text = text_in(buffer, size);
    one->append(&text, one->string);
    same_string(one->line, one->string, expected, text.bytes);
    same_number(one->line, one->string, strlen(expected), text.length);
    holds(one->line, one->string, overflowed ? "overflowed" : "not overflowed",
          text.overflowed == overflowed);
}

/* At the size that just fits, since nothing less shows a byte that is written too far. */
static void check_all(const struct appended cases[], size_t count)
{
    for (size_t i = 0; i < count; i++)
        check(&cases[i], strlen(cases[i].expected) + 1, cases[i].expected, false);
}

TEST(a_new_text_is_empty)
{
    char buffer[8] = "before";
    const struct text text = text_in(buffer, sizeof(buffer));
    assert_ptr_equal(text.bytes, buffer);
    assert_string_equal(text.bytes, "");
    assert_int_equal(text.size, sizeof(buffer));
    assert_int_equal(text.length, 0);
    assert_false(text.overflowed);
}

TEST(a_string_is_added_as_it_is)
{
    static const struct appended cases[] = {
        {__LINE__, text_add, "", ""},
        {__LINE__, text_add, "Hello", "Hello"},
        {__LINE__, text_add, "<&>\"'\\%s\r\n", "<&>\"'\\%s\r\n"},
        {__LINE__, text_add, "\xFF", "\xFF"},
    };
    check_all(TABLE(cases));
}

TEST(a_number_is_added_in_decimal)
{
    static const struct appended cases[] = {
        {__LINE__, add_number, "0", "0"},
        {__LINE__, add_number, "9", "9"},
        {__LINE__, add_number, "10", "10"},
        {__LINE__, add_number, "404", "404"},
        {__LINE__, add_number, "1000000007", "1000000007"},
        {__LINE__, add_number, "18446744073709551615", "18446744073709551615"},
    };
    check_all(TABLE(cases));
}

TEST(html_is_escaped_for_elements_and_quoted_attributes)
{
    static const struct appended cases[] = {
        {__LINE__, text_add_html, "", ""},
        {__LINE__, text_add_html, "Ada", "Ada"},
        {__LINE__, text_add_html, "&", "&amp;"},
        {__LINE__, text_add_html, "<", "&lt;"},
        {__LINE__, text_add_html, ">", "&gt;"},
        {__LINE__, text_add_html, "\"", "&quot;"},
        {__LINE__, text_add_html, "'", "&#39;"},
        {__LINE__, text_add_html, "&amp;", "&amp;amp;"},
        {__LINE__, text_add_html, "a<b>c&d\"e'f", "a&lt;b&gt;c&amp;d&quot;e&#39;f"},
        {__LINE__, text_add_html, "\xC3\xA9 \xE4\xB8\x96/`=", "\xC3\xA9 \xE4\xB8\x96/`="},
    };
    check_all(TABLE(cases));
}

TEST(json_is_one_compact_line)
{
    static const struct appended cases[] = {
        {__LINE__, add_json, "{}", "{}\n"},
        {__LINE__, add_json, "{ \"a\" : 1 }", "{\"a\":1}\n"},
        {__LINE__, add_json, "{\"b\":\"x\", \"a\":\"y\"}", "{\"b\":\"x\",\"a\":\"y\"}\n"},
        {__LINE__, add_json, "{\"a\":\"\\\"\\\\\\n\\u0001\"}", "{\"a\":\"\\\"\\\\\\n\\u0001\"}\n"},
        {__LINE__, add_json, "{\"a\":\"\\u00e9\"}", "{\"a\":\"\xC3\xA9\"}\n"},
        {__LINE__, add_json, "[[\n1]]", "[[1]]\n"},
        {__LINE__, add_json, "-7", "-7\n"},
        {__LINE__, add_json, "\"a\"", "\"a\"\n"},
    };
    check_all(TABLE(cases));
}

TEST(what_does_not_fit_overflows_and_keeps_what_was_there)
{
    static const struct appended cases[] = {
        {__LINE__, text_add, "Hello", ""},       {__LINE__, add_number, "12345", ""},
        {__LINE__, text_add_html, "\"", ""},     {__LINE__, text_add_html, "ab<", "ab"},
        {__LINE__, text_add_html, "<<", "&lt;"}, {__LINE__, add_json, "{\"a\":12345}", ""},
    };
    for (size_t i = 0; i < LENGTH(cases); i++)
        check(&cases[i], 5, cases[i].expected, true);
}

TEST(a_text_of_one_byte_holds_the_empty_string_only)
{
    const struct appended nothing = {__LINE__, text_add, "", ""};
    const struct appended letter = {__LINE__, text_add, "a", ""};
    const struct appended object = {__LINE__, add_json, "{}", ""};
    check(&nothing, 1, "", false);
    check(&letter, 1, "", true);
    check(&object, 1, "", true);
}

/* Of what stands in an overflowed text nothing is promised, but that it stays within its buffer. */
TEST(json_that_does_not_fit_overflows_at_every_size)
{
    static const char whole[] = "{\"a\":\"bcd\"}\n";
    for (size_t size = 1; size < 2 * sizeof(whole) - 1; size++) {
        char *buffer = walled(__LINE__, size);
        struct text text = text_in(buffer, size);
        add_json(&text, whole);
        add_json(&text, whole);
        assert_true(text.overflowed);
        assert_true(text.length < size);
        assert_int_equal(text.bytes[text.length], '\0');
    }
    const struct appended fits = {__LINE__, add_json, whole, whole};
    check(&fits, sizeof(whole), whole, false);
}

TEST(pieces_stand_one_behind_the_other)
{
    static const char whole[] = "Hi &lt;Ada&gt; 42{\"a\":1}\n.";
    char *buffer = walled(__LINE__, sizeof(whole));
    struct text text = text_in(buffer, sizeof(whole));
    text_add(&text, "Hi ");
    text_add_html(&text, "<Ada>");
    text_add(&text, " ");
    text_add_number(&text, 42);
    add_json(&text, "{\"a\":1}");
    text_add(&text, ".");
    assert_string_equal(text.bytes, whole);
    assert_int_equal(text.length, strlen(whole));
    assert_false(text.overflowed);
    text_add(&text, "!");
    assert_true(text.overflowed);
    assert_string_equal(text.bytes, whole);
}

TEST(an_overflow_lasts)
{
    char buffer[8];
    static append *const appends[] = {text_add, text_add_html, add_number, add_json};
    for (size_t i = 0; i < LENGTH(appends); i++) {
        struct text text = text_in(buffer, sizeof(buffer));
        text_add(&text, "too long for it");
        assert_true(text.overflowed);
        appends[i](&text, appends[i] == add_json ? "{}" : "1");
        assert_true(text.overflowed);
    }
}

TEST(a_piece_behind_an_overflow_is_not_added)
{
    char buffer[8];
    struct text text = text_in(buffer, sizeof(buffer));
    text_add(&text, "too long for it");
    text_add(&text, "a");
    text_add_html(&text, "b");
    text_add_number(&text, 1);
    assert_string_equal(text.bytes, "");
}

TEST(a_json_object_is_released_whether_it_fits_or_not)
{
    for (size_t size = 1; size <= 16; size++) {
        char buffer[16];
        struct text text = text_in(buffer, size);
        json_t *object = json_pack("{s:i}", "a", 1);
        json_incref(object);
        text_add_json(&text, object);
        assert_int_equal(object->refcount, 1);
        json_decref(object);
    }
}

TEST(json_that_could_not_be_made_is_an_overflow)
{
    char buffer[64];
    struct text text = text_in(buffer, sizeof(buffer));
    text_add(&text, "before");
    text_add_json(&text, NULL);
    assert_true(text.overflowed);
    assert_string_equal(text.bytes, "before");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_text_is_empty),
        cmocka_unit_test(a_string_is_added_as_it_is),
        cmocka_unit_test(a_number_is_added_in_decimal),
        cmocka_unit_test(html_is_escaped_for_elements_and_quoted_attributes),
        cmocka_unit_test(json_is_one_compact_line),
        cmocka_unit_test(what_does_not_fit_overflows_and_keeps_what_was_there),
        cmocka_unit_test(a_text_of_one_byte_holds_the_empty_string_only),
        cmocka_unit_test(json_that_does_not_fit_overflows_at_every_size),
        cmocka_unit_test(pieces_stand_one_behind_the_other),
        cmocka_unit_test(an_overflow_lasts),
        cmocka_unit_test(a_piece_behind_an_overflow_is_not_added),
        cmocka_unit_test(a_json_object_is_released_whether_it_fits_or_not),
        cmocka_unit_test(json_that_could_not_be_made_is_an_overflow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
