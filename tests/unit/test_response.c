/* Responses as they are printed, and the header fields that a handler adds. */
#include "request.h"

static const char *printed_with(int line, const char *name, const char *value, bool *failed)
{
    static char bytes[RESPONSE_MAX];
    static struct response response;
    response_init(&response);
    response_add_field(&response, name, value);
    *failed = response.failure != NULL;
    holds(line, name, "it is printed", response_print(&response, bytes, sizeof(bytes)) > 0);
    return bytes;
}

TEST(a_field_is_printed_or_refused_as_a_whole)
{
    static const struct {
        int line;
        const char *name, *value, *line_sent; /* NULL: refused */
    } cases[] = {
        {__LINE__, "Location", "/greetings/a", "\r\nLocation: /greetings/a\r\n"},
        {__LINE__, "Set-Cookie", "a=b; Secure", "\r\nSet-Cookie: a=b; Secure\r\n"},
        {__LINE__, "X", "a\tb", "\r\nX: a\tb\r\n"},
        {__LINE__, "X", "a\r\nSet-Cookie: b", NULL},
        {__LINE__, "X", "a\nb", NULL},
        {__LINE__, "X", "\xC3\xA9", NULL},
        {__LINE__, "X", "\x7F", NULL},
        {__LINE__, "", "a", NULL},
        {__LINE__, "X Y", "a", NULL},
        {__LINE__, "X:", "a", NULL},
        {__LINE__, "content-type", "a", NULL},
        {__LINE__, "Status", "200", NULL},
        {__LINE__, "ETAG", "\"a\"", NULL},
        {__LINE__, "X-Request-Id", "a", NULL},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        bool failed;
        const char *bytes = printed_with(cases[i].line, cases[i].name, cases[i].value, &failed);
        same_number(cases[i].line, cases[i].name, cases[i].line_sent == NULL, failed);
        if (cases[i].line_sent)
            holds(cases[i].line, cases[i].name, "the line", strstr(bytes, cases[i].line_sent));
    }
}

/* What the service sets itself is not a handler's to set: each field that any answer has. */
TEST(a_field_of_the_service_is_refused)
{
    bool failed;
    char fields[RESPONSE_MAX];
    snprintf(fields, sizeof(fields), "%s", printed_with(__LINE__, "X", "a", &failed));
    for (char *line = strtok(fields, "\r\n"); line; line = strtok(NULL, "\r\n")) {
        line[strcspn(line, ":")] = '\0';
        (void)printed_with(__LINE__, line, "a", &failed);
        same_number(__LINE__, line, strcmp(line, "X") != 0, failed);
    }
}

TEST(a_503_says_once_when_to_come_again)
{
    static const char *const values[] = {NULL, "120"};
    for (size_t i = 0; i < LENGTH(values); i++) {
        static struct response response;
        static char bytes[RESPONSE_MAX];
        response_init(&response);
        response.status = 503;
        if (values[i])
            response_add_field(&response, "retry-after", values[i]);
        assert_true(response_print(&response, bytes, sizeof(bytes)) > 0);
        const char *field = strcasestr(bytes, "\r\nRetry-After: ");
        assert_non_null(field);
        assert_null(strcasestr(field + 1, "\r\nRetry-After: "));
        assert_memory_equal(field + sizeof("\r\nRetry-After:"), values[i] ? "120\r" : "1\r\n", 3);
    }
}

TEST(fields_up_to_their_bound_are_taken)
{
    static struct response response;
    response_init(&response);
    response_add_field(&response, "X", repeated("a", FIELDS_MAX - 6));
    assert_false(response.fields.overflowed);
    response_add_field(&response, "X", "a");
    assert_true(response.fields.overflowed);
}

/* RESPONSE_MAX leaves room for every field beside the largest body. */
TEST(the_largest_body_fits_with_every_field)
{
    struct response response;
    response_init(&response);
    text_add(&response.body, repeated("a", RESPONSE_BODY_MAX - 1));
    response.status = 405;
    response.content_type = PROBLEM;
    response.caching = CACHING_SHARED;
    response.route = &routes[0];
    response.quotes_input = true;
    response.tells_methods = true;
    response.varies = true;
    memset(response.entity_tag, 'x', ENTITY_TAG_SIZE - 1);
    response.entity_tag[ENTITY_TAG_SIZE - 1] = '\0';
    assert_false(response.body.overflowed);
    assert_true(response_print(&response, walled(__LINE__, RESPONSE_MAX), RESPONSE_MAX) > 0);
}

TEST(a_response_that_does_not_fit_is_not_printed_in_part)
{
    struct response response;
    char whole[RESPONSE_MAX];
    respond(&test_settings, &(struct request){.method = "GET", .target = "/"}, &response);
    const size_t length = response_print(&response, whole, sizeof(whole));
    for (size_t size = 1; size < length; size++)
        same_number(__LINE__, "a buffer too small", 0,
                    response_print(&response, walled(__LINE__, size), size));
    same_number(__LINE__, "a buffer that just fits", length,
                response_print(&response, walled(__LINE__, length + 1), length + 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_field_is_printed_or_refused_as_a_whole),
        cmocka_unit_test(a_field_of_the_service_is_refused),
        cmocka_unit_test(a_503_says_once_when_to_come_again),
        cmocka_unit_test(fields_up_to_their_bound_are_taken),
        cmocka_unit_test(the_largest_body_fits_with_every_field),
        cmocka_unit_test(a_response_that_does_not_fit_is_not_printed_in_part),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
