/* Memory that runs short: every allocation of jansson's is refused once in turn, and all from each
 * on. The core takes no other. */
#include "cases.h"

#include "core/respond.h"

#include <jansson.h>
#include <stdlib.h>

static size_t calls, refused_from, refused_to; /* of the allocations, counted from 1 */

static void *refusing(size_t size)
{
    calls++;
    return calls >= refused_from && calls <= refused_to ? NULL : malloc(size);
}

static int refuse_memory(void **state)
{
    (void)state;
    json_set_alloc_funcs(refusing, free);
    return 0;
}

static const struct settings defaults = {
    .greeting = "Hello", .name = "World", .service = "hello", .revision = "hello-1"};

static const struct request requests[] = {
    {.method = "GET", .target = "/?format=json&name=Zo%C3%AB%22"},
    {.method = "HEAD", .target = "/", .accept = "application/json"},
    {.method = "GET", .target = "/version"},
    {.method = "GET", .target = "/nothing?format=json", .request_id = "0123abcd"},
    {.method = "BREW", .target = "/", .accept = "application/json"},
    {.method = "GET", .target = "/?format=json", .if_match = "\"a\""},
    {.method = "POST",
     .target = "/?format=json",
     .content_type = JSON_TYPE,
     .body = "{\"name\":\"Zo\\u00eb\",\"lang\":\"de\"}",
     .body_length = 31},
    {.method = "POST",
     .target = "/",
     .content_type = JSON_TYPE,
     .body = "{\"a\":[{}],",
     .body_length = 10},
};

/* Responds with allocations first to last refused. Returns how many there were. */
static size_t respond_without(const struct request *request, size_t first, size_t last,
                              struct response *response)
{
    calls = 0;
    refused_from = first;
    refused_to = last;
    respond(&defaults, request, response);
    return calls;
}

/* The usual answer, if an error then perhaps as text, or a 500 that says why. */
static void check(const struct request *request, size_t first, size_t last)
{
    static struct response usual, response;
    char printed[RESPONSE_MAX];
    respond_without(request, 1, 0, &usual);
    respond_without(request, first, last, &response);
    holds(__LINE__, request->target, "an answer",
          response_print(&response, printed, sizeof(printed)) > 0);
    if (response.status == usual.status) {
        const bool plain = response.status >= 400 && strstr(response.content_type, "text/plain");
        if (!plain)
            same_string(__LINE__, request->target, usual.body.bytes, response.body.bytes);
        holds(__LINE__, request->target, "a body", !response.body.overflowed);
        return;
    }
    /* Of a string that it has no memory for, jansson says that it is no string. The first that it
     * needs is for no string. */
    if (request->body && response.status == 400 && first > 1) {
        holds(__LINE__, request->target, "no JSON", strstr(response.body.bytes, "is no JSON"));
        return;
    }
    same_number(__LINE__, request->target, 500, (uintmax_t)response.status);
    holds(__LINE__, request->target, "a reason for the log", response.failure != NULL);
    holds(__LINE__, request->target, "not stored",
          response.caching == CACHING_NONE && !*response.entity_tag);
    holds(__LINE__, request->target, "a body",
          !response.body.overflowed && strstr(response.body.bytes, "could not be put together"));
}

TEST(each_allocation_that_is_refused_makes_an_error_at_most)
{
    for (size_t i = 0; i < LENGTH(requests); i++) {
        static struct response response;
        const size_t count = respond_without(&requests[i], 1, 0, &response);
        assert_true(count > 0 && !response.failure);
        for (size_t refused = 1; refused <= count; refused++)
            check(&requests[i], refused, refused);
    }
}

TEST(without_any_more_memory_there_is_still_an_answer)
{
    for (size_t i = 0; i < LENGTH(requests); i++) {
        static struct response response;
        const size_t count = respond_without(&requests[i], 1, 0, &response);
        for (size_t refused = 1; refused <= count; refused++)
            check(&requests[i], refused, SIZE_MAX);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_allocation_that_is_refused_makes_an_error_at_most),
        cmocka_unit_test(without_any_more_memory_there_is_still_an_answer),
    };
    return cmocka_run_group_tests(tests, refuse_memory, NULL);
}
