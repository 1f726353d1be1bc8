/* GET /health. */
#include "request.h"

#define TOLD                                                                                       \
    "{\"status\":\"ok\",\"checked\":"                                                              \
    "\"A worker took this request and answered it. It needs nothing else.\"}\n"

TEST(it_is_one_word_or_JSON_that_says_what_was_checked)
{
    static const struct got cases[] = {
        {__LINE__, "/health", NULL, TEXT, "ok\n"},
        {__LINE__, "/health", "text/html", TEXT, "ok\n"},
        {__LINE__, "/health?format=text", "application/json", TEXT, "ok\n"},
        {__LINE__, "/health?format=json", NULL, JSON, TOLD},
        {__LINE__, "/health", "application/json", JSON, TOLD},
    };
    check_got(TABLE(cases));
}

/* Whatever a prober sends along, healthy is healthy. */
TEST(nothing_in_the_request_makes_it_unhealthy)
{
    static const struct got cases[] = {
        {__LINE__, "/health?x=y", "image/png", TEXT, "ok\n"},
        {__LINE__, "/health?format=html", "text/html", TEXT, "ok\n"},
        {__LINE__, "/health?format=xml", "*/*;q=0", TEXT, "ok\n"},
    };
    check_got(TABLE(cases));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_one_word_or_JSON_that_says_what_was_checked),
        cmocka_unit_test(nothing_in_the_request_makes_it_unhealthy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
