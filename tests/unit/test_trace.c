/* Traces and ids of requests: W3C Trace Context section 3.2, and Google's older field. */
#include "cases.h"

#include "core/trace.h"

#define TRACE "0af7651916cd43dd8448eb211c80319c"
#define SPAN "b7ad6b7169203331"

struct traced {
    int line;
    const char *traceparent, *cloud_trace_context, *expected; /* "TRACE SPAN SAMPLED" */
};

static void check(const struct traced cases[], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char got[64];
        const struct request request = {.traceparent =
                                            walled_string(cases[i].line, cases[i].traceparent),
                                        .cloud_trace_context = cases[i].cloud_trace_context};
        const struct trace trace = trace_of(&request);
        snprintf(got, sizeof(got), "%s %s %d", trace.id, trace.span, trace.sampled);
        same_string(cases[i].line, cases[i].traceparent, cases[i].expected, got);
    }
}

TEST(a_well_formed_traceparent_is_taken)
{
    static const struct traced cases[] = {
        {__LINE__, "00-" TRACE "-" SPAN "-01", NULL, TRACE " " SPAN " 1"},
        {__LINE__, "00-" TRACE "-" SPAN "-00", NULL, TRACE " " SPAN " 0"},
        {__LINE__, "00-" TRACE "-" SPAN "-fe", NULL, TRACE " " SPAN " 0"},
        {__LINE__, "00-" TRACE "-" SPAN "-ff", NULL, TRACE " " SPAN " 1"},
        {__LINE__, "01-" TRACE "-" SPAN "-01", NULL, TRACE " " SPAN " 1"},
        {__LINE__, "fe-" TRACE "-" SPAN "-01-more", NULL, TRACE " " SPAN " 1"},
    };
    check(TABLE(cases));
}

TEST(an_ill_formed_traceparent_is_none)
{
    static const struct traced cases[] = {
        {__LINE__, NULL, NULL, "  0"},
        {__LINE__, "", NULL, "  0"},
        {__LINE__, "ff-" TRACE "-" SPAN "-01", NULL, "  0"},
        {__LINE__, "00-" TRACE "-" SPAN "-01-more", NULL, "  0"},
        {__LINE__, "01-" TRACE "-" SPAN "-01.more", NULL, "  0"},
        {__LINE__, "00-" TRACE "-" SPAN "-1", NULL, "  0"},
        {__LINE__, "00-" TRACE "-" SPAN "-011", NULL, "  0"},
        {__LINE__, "00-" TRACE "-" SPAN, NULL, "  0"},
        {__LINE__, "00-" TRACE "0-" SPAN "-01", NULL, "  0"},
        {__LINE__, "00-" TRACE "-" SPAN "0-01", NULL, "  0"},
        {__LINE__, "0-" TRACE "-" SPAN "-01", NULL, "  0"},
        {__LINE__, "00_" TRACE "-" SPAN "-01", NULL, "  0"},
        {__LINE__, "00-" TRACE "_" SPAN "-01", NULL, "  0"},
        {__LINE__, "00-" TRACE "-" SPAN "_01", NULL, "  0"},
        {__LINE__, "00-0AF7651916CD43DD8448EB211C80319C-" SPAN "-01", NULL, "  0"},
        {__LINE__, "00-" TRACE "-B7AD6B7169203331-01", NULL, "  0"},
        {__LINE__, "00-" TRACE "-" SPAN "-0A", NULL, "  0"},
        {__LINE__, "00-00000000000000000000000000000000-" SPAN "-01", NULL, "  0"},
        {__LINE__, "00-" TRACE "-0000000000000000-01", NULL, "  0"},
        {__LINE__, " 00-" TRACE "-" SPAN "-01", NULL, "  0"},
    };
    check(TABLE(cases));
}

TEST(no_traceparent_that_is_cut_is_read_past_its_end)
{
    char cut[] = "00-" TRACE "-" SPAN "-01";
    for (size_t length = sizeof(cut) - 2; length > 0; length--) {
        cut[length] = '\0';
        check(&(struct traced){__LINE__, cut, NULL, "  0"}, 1);
    }
}

TEST(the_older_field_is_taken_where_there_is_no_traceparent)
{
    static const struct traced cases[] = {
        {__LINE__, NULL, TRACE, TRACE "  0"},
        {__LINE__, NULL, TRACE "/1", TRACE " 0000000000000001 0"},
        {__LINE__, NULL, TRACE "/13235353014750950193;o=1", TRACE " " SPAN " 1"},
        {__LINE__, NULL, TRACE "/18446744073709551615;o=0", TRACE " ffffffffffffffff 0"},
        {__LINE__, NULL, TRACE ";o=1", TRACE "  1"},
        {__LINE__, "rubbish", TRACE "/2", TRACE " 0000000000000002 0"},
        {__LINE__, "00-" TRACE "-" SPAN "-01", "105445aa7843bc8bf206b12000100000/1;o=0",
         TRACE " " SPAN " 1"},
        {__LINE__, NULL, TRACE "/18446744073709551616", "  0"},
        {__LINE__, NULL, TRACE "/0", "  0"},
        {__LINE__, NULL, TRACE "/", "  0"},
        {__LINE__, NULL, TRACE "/x", "  0"},
        {__LINE__, NULL, TRACE "/1x", "  0"},
        {__LINE__, NULL, TRACE "/-1", "  0"},
        {__LINE__, NULL, TRACE "/1;o=2", "  0"},
        {__LINE__, NULL, TRACE "0/1", "  0"},
        {__LINE__, NULL, "0AF7651916CD43DD8448EB211C80319C/1", "  0"},
        {__LINE__, NULL, "00000000000000000000000000000000/1", "  0"},
    };
    check(TABLE(cases));
}

TEST(an_id_has_8_to_64_harmless_characters)
{
    static const char *const taken[] = {"01234567", "A.b_c-9Z", "--------"};
    static const char *const refused[] = {
        "", "0123456", "0123 4567", "0123456\n", "0123456\xFF", "<b>012345", "\"0123456"};
    for (size_t i = 0; i < LENGTH(taken); i++)
        same_string(__LINE__, taken[i], taken[i],
                    request_id_of(&(struct request){.request_id = taken[i]}));
    for (size_t i = 0; i < LENGTH(refused); i++)
        same_string(__LINE__, refused[i], NULL,
                    request_id_of(&(struct request){.request_id = refused[i]}));
    const struct request longest = {.request_id = repeated("a", 64)};
    assert_ptr_equal(request_id_of(&longest), longest.request_id);
    assert_null(request_id_of(&(struct request){.request_id = repeated("a", 65)}));
    assert_null(request_id_of(&(struct request){.request_id = NULL}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_well_formed_traceparent_is_taken),
        cmocka_unit_test(an_ill_formed_traceparent_is_none),
        cmocka_unit_test(no_traceparent_that_is_cut_is_read_past_its_end),
        cmocka_unit_test(the_older_field_is_taken_where_there_is_no_traceparent),
        cmocka_unit_test(an_id_has_8_to_64_harmless_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
