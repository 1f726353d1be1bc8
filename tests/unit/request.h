/* One request through the whole core, for the tests of handlers. */
#ifndef TEST_REQUEST_H
#define TEST_REQUEST_H

#include "cases.h"

#include "core/respond.h"
#include "core/text.h"

#define TEXT "text/plain; charset=utf-8"
#define HTML "text/html; charset=utf-8"
#define JSON "application/json; charset=utf-8"
#define PROBLEM "application/problem+json; charset=utf-8"
#define ABSENT "(absent)"

static const struct settings test_settings = {.workers = 2};

struct answer {
    char head[RESPONSE_MAX + 1]; /* up to and with the empty line */
    char body[RESPONSE_MAX + 1];
};

/* The value of a field, ABSENT where there is none. Holds until the fourth call from here. */
static inline const char *field(const struct answer *answer, const char *name)
{
    static char values[4][256];
    static unsigned calls;
    char *value = values[calls++ % LENGTH(values)];
    const size_t length = strlen(name);
    for (const char *line = answer->head; *line; line = strstr(line, "\r\n") + 2) {
        if (strncmp(line, name, length) != 0 || strncmp(line + length, ": ", 2) != 0)
            continue;
        line += length + 2;
        snprintf(value, sizeof(values[0]), "%.*s", (int)strcspn(line, "\r"), line);
        return value;
    }
    return ABSENT;
}

/* Each line a name and a value of printable ASCII, no name twice (RFC 9110 section 5.3) but the one
 * that may be, an empty line at the end. */
static inline void check_fields(int line, const char *sent, const struct answer *answer)
{
    const char *cursor = answer->head;
    holds(line, sent, "Status first", strncmp(cursor, "Status: ", 8) == 0);
    while (strncmp(cursor, "\r\n", 2) != 0) {
        char name[64];
        snprintf(name, sizeof(name), "\n%.*s:", (int)strcspn(cursor, ":\r\n"), cursor);
        const char *value = cursor + strlen(name) - 1;
        const char *end = value + strcspn(value, "\r\n");
        holds(line, sent, "name and value", value[-1] == ':' && value[0] == ' ' && end - value > 1);
        holds(line, sent, "a name stands once",
              !strstr(end, name) || strcmp(name, "\nSet-Cookie:") == 0);
        for (const char *byte = cursor; byte < end; byte++)
            holds(line, sent, "printable ASCII", *byte >= ' ' && *byte <= '~');
        holds(line, sent, "CRLF", strncmp(end, "\r\n", 2) == 0);
        cursor = end + 2;
    }
}

/* What holds for every response: RFC 9110 sections 6.4.1, 8.6, 9.3.2 and 15.4.5. */
static inline void check_content(int line, const struct request *request,
                                 const struct answer *answer)
{
    const char *sent = request->target, *body = answer->body;
    const char *status = field(answer, "Status");
    const bool typed = strcmp(field(answer, "Content-Type"), ABSENT) != 0;
    const bool head = strcmp(request->method, "HEAD") == 0;
    char length[24];
    snprintf(length, sizeof(length), "%zu", strlen(body));
    holds(line, sent, "no type",
          !typed || (strncmp(status, "204", 3) && strncmp(status, "304", 3)));
    if (!typed || head)
        same_string(line, sent, "", body);
    if (!typed || !head)
        same_string(line, sent, typed ? length : ABSENT, field(answer, "Content-Length"));
    holds(line, sent, "a line at the end", !*body || body[strlen(body) - 1] == '\n');
}

/* The answer to request, once it is checked for what holds for every response. Holds until the
 * fourth call from here. */
static inline const struct answer *ask(int line, const struct settings *settings,
                                       const struct request *request)
{
    static struct answer answers[4];
    static unsigned calls;
    struct answer *answer = &answers[calls++ % LENGTH(answers)];
    static struct response response;
    memset(&response, 0xA5, sizeof(response)); /* respond() sets the whole of it */
    respond(settings, request, &response);
    char *bytes = walled(line, RESPONSE_MAX);
    const size_t length = response_print(&response, bytes, RESPONSE_MAX);
    holds(line, request->target, "1 to RESPONSE_MAX bytes", length > 0 && length <= RESPONSE_MAX);
    holds(line, request->target, "no NUL", !memchr(bytes, '\0', length));
    const char *end = memmem(bytes, length, "\r\n\r\n", 4);
    holds(line, request->target, "an empty line behind the fields", end != NULL);
    const size_t head = (size_t)(end + 4 - bytes);
    snprintf(answer->head, sizeof(answer->head), "%.*s", (int)head, bytes);
    snprintf(answer->body, sizeof(answer->body), "%.*s", (int)(length - head), bytes + head);
    check_fields(line, request->target, answer);
    check_content(line, request, answer);
    return answer;
}

static inline const struct answer *get(int line, const char *target, const char *accept)
{
    const struct request request = {.method = "GET", .target = target, .accept = accept};
    return ask(line, &test_settings, &request);
}

/* status is "200 OK"; text has to stand in the answer, be it in a field or in the body. */
static inline void expect(int line, const struct request *request, const char *status,
                          const char *text)
{
    static char whole[sizeof(struct answer)];
    const struct answer *answer = ask(line, &test_settings, request);
    snprintf(whole, sizeof(whole), "%s%s", answer->head, answer->body);
    if (strcmp(field(answer, "Status"), status) != 0 || !strstr(whole, text))
        fail_msg("%s:%d: %s %s: expected %s with \"%s\", got %s", __BASE_FILE__, line,
                 request->method, request->target, status, text, whole);
}

struct got {
    int line;
    const char *target, *accept, *type, *body;
};

static inline void check_got(const struct got cases[], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct answer *answer = get(cases[i].line, cases[i].target, cases[i].accept);
        same_string(cases[i].line, cases[i].target, "200 OK", field(answer, "Status"));
        same_string(cases[i].line, cases[i].target, cases[i].type, field(answer, "Content-Type"));
        same_string(cases[i].line, cases[i].target, cases[i].body, answer->body);
    }
}

struct form {
    int line;
    const char *target, *accept, *type;
};

static inline void check_forms(const struct form cases[], size_t count, const char *vary)
{
    for (size_t i = 0; i < count; i++) {
        const struct answer *answer = get(cases[i].line, cases[i].target, cases[i].accept);
        same_string(cases[i].line, cases[i].target, cases[i].type, field(answer, "Content-Type"));
        same_string(cases[i].line, cases[i].target, vary, field(answer, "Vary"));
    }
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
