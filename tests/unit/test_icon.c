/* GET /favicon.ico. */
#include "request.h"

TEST(the_icon_is_a_picture_that_clients_may_keep)
{
    const struct answer *answer = get(__LINE__, "/favicon.ico", "image/png");
    assert_string_equal(field(answer, "Status"), "200 OK");
    assert_string_equal(field(answer, "Content-Type"), "image/svg+xml");
    assert_string_equal(field(answer, "Cache-Control"), "private, no-cache");
    assert_string_not_equal(field(answer, "ETag"), ABSENT);
    assert_ptr_equal(strstr(answer->body, "<svg xmlns=\"http://www.w3.org/2000/svg\""),
                     answer->body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_icon_is_a_picture_that_clients_may_keep),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
