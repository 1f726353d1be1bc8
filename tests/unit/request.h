/* One request through the whole core, for the tests of handlers. */
#ifndef TEST_REQUEST_H
#define TEST_REQUEST_H

#include "cases.h"

#include "core/respond.h"

static const struct settings test_settings = {.workers = 2};

/* The answer as response_print writes it. Holds until the next call. */
static inline const char *answer_to(int line, const struct request *request)
{
    static struct response response;
    static char printed[RESPONSE_MAX];
    memset(&response, 0xA5, sizeof(response));
    respond(&test_settings, request, &response);
    holds(line, request->target, "it is printed",
          response_print(&response, printed, sizeof(printed)) > 0);
    return printed;
}

/* status is "200 OK"; text has to stand in the answer, be it in a field or in the body. */
static inline void expect(int line, const struct request *request, const char *status,
                          const char *text)
{
    const char *answer = answer_to(line, request);
    char first[64];
    snprintf(first, sizeof(first), "Status: %s\r\n", status);
    if (strncmp(answer, first, strlen(first)) != 0 || !strstr(answer, text))
        fail_msg("%s:%d: %s %s: expected %s with \"%s\", got %s", __BASE_FILE__, line,
                 request->method, request->target, status, text, answer);
}

/* A POST of a body to target. */
static inline struct request post(const char *target, const char *type, const char *body)
{
    return (struct request){.method = "POST",
                            .target = target,
                            .content_type = type,
                            .body = body,
                            .body_length = strlen(body)};
}

#endif
