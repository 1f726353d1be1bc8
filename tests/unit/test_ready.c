/* GET /ready. */
#include "errors.h"

TEST(it_is_one_word_whatever_is_asked_for)
{
    static const struct got cases[] = {
        {__LINE__, "/ready", NULL, TEXT, "ready\n"},
        {__LINE__, "/ready", "application/json", TEXT, "ready\n"},
        {__LINE__, "/ready?format=json&x", "image/png", TEXT, "ready\n"},
    };
    check_got(TABLE(cases));
}

TEST(a_draining_instance_is_not_ready)
{
    check_error(__LINE__, (struct request){.method = "GET", .target = "/ready", .draining = true},
                503, "Service Unavailable", "This instance is stopping and takes no more traffic.");
}

TEST(a_draining_instance_answers_everything_else)
{
    static const char *const targets[] = {"/", "/?name=Ada", "/health", "/version", "/nothing"};
    for (size_t i = 0; i < LENGTH(targets); i++) {
        const struct request request = {.method = "GET", .target = targets[i], .draining = true};
        const struct answer *answer = ask(__LINE__, &test_settings, &request);
        same_string(__LINE__, targets[i], get(__LINE__, targets[i], NULL)->head, answer->head);
        same_string(__LINE__, targets[i], get(__LINE__, targets[i], NULL)->body, answer->body);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_one_word_whatever_is_asked_for),
        cmocka_unit_test(a_draining_instance_is_not_ready),
        cmocka_unit_test(a_draining_instance_answers_everything_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
