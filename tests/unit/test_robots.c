/* GET /robots.txt. */
#include "request.h"

TEST(the_file_is_text_that_clients_may_keep)
{
    const struct answer *answer = get(__LINE__, "/robots.txt", "image/png");
    assert_string_equal(field(answer, "Status"), "200 OK");
    assert_string_equal(field(answer, "Content-Type"), TEXT);
    assert_string_equal(field(answer, "Cache-Control"), "private, no-cache");
    assert_string_not_equal(field(answer, "ETag"), ABSENT);
    assert_ptr_equal(strstr(answer->body, "# The page itself is for search engines"), answer->body);
}

/* RFC 9309 section 2.2.2: the longest match decides, so that "/" alone is for them. */
TEST(search_engines_may_have_the_greeting_and_nothing_else)
{
    const char *body = get(__LINE__, "/robots.txt", NULL)->body;
    assert_non_null(strstr(body, "\nUser-agent: *\nAllow: /$\nDisallow: /\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_file_is_text_that_clients_may_keep),
        cmocka_unit_test(search_engines_may_have_the_greeting_and_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
