/* Errors in their three formats, and what pages and JSON have to be. */
#ifndef TEST_ERRORS_H
#define TEST_ERRORS_H

#include "request.h"

static inline void check_member(int line, const json_t *json, const char *name,
                                const char *expected)
{
    same_string(line, name, expected, json_string_value(json_object_get(json, name)));
}

/* RFC 9457: the four members, and nothing else. */
static inline void check_problem_details(int line, const struct answer *answer, int status,
                                         const char *title, const char *detail)
{
    json_t *json = json_loads(answer->body, JSON_REJECT_DUPLICATES, NULL);
    holds(line, answer->body, "JSON", json_is_object(json));
    check_member(line, json, "type", "about:blank");
    check_member(line, json, "title", title);
    check_member(line, json, "detail", detail);
    same_number(line, answer->body, (uintmax_t)status,
                (uintmax_t)json_integer_value(json_object_get(json, "status")));
    same_number(line, answer->body, 4, json_object_size(json));
    json_decref(json);
}

static inline void check_page(int line, const char *page, const char *title, const char *part)
{
    holds(line, page, "a page of HTML in UTF-8",
          strncmp(page, "<!doctype html>\n<html", 21) == 0 &&
              strstr(page, "<meta charset=\"utf-8\">"));
    holds(line, page, title, strstr(page, title));
    holds(line, page, part, strstr(page, part));
    same_string(line, page, "</html>\n", strstr(page, "</html>"));
}

static inline void check_error_page(int line, const struct answer *answer, int status,
                                    const char *title, const char *detail)
{
    char start[128], part[2048], escaped[1024];
    struct text text = text_in(escaped, sizeof(escaped));
    text_add_html(&text, detail);
    snprintf(start, sizeof(start), "<title>%d %s</title>\n", status, title);
    snprintf(part, sizeof(part), "<h1><b>%d</b> %s</h1>\n<p>%s</p>\n", status, title, escaped);
    check_page(line, answer->body, start, part);
}

static inline void check_error_text(int line, const struct answer *answer, int status,
                                    const char *title, const char *detail)
{
    char expected[1024];
    snprintf(expected, sizeof(expected), "%d %s\n%s\n", status, title, detail);
    same_string(line, "", expected, answer->body);
}

/* That request gets the error in each of the three formats. */
static inline void check_error(int line, struct request request, int status, const char *title,
                               const char *detail)
{
    static const struct {
        const char *accept, *type;
        void (*check)(int line, const struct answer *answer, int status, const char *title,
                      const char *detail);
    } forms[] = {{"text/plain", TEXT, check_error_text},
                 {"text/html", HTML, check_error_page},
                 {"application/json", PROBLEM, check_problem_details}};
    for (size_t i = 0; i < LENGTH(forms); i++) {
        char expected[64];
        request.accept = forms[i].accept;
        const struct answer *answer = ask(line, &test_settings, &request);
        snprintf(expected, sizeof(expected), "%d %s", status, title);
        same_string(line, request.target, expected, field(answer, "Status"));
        same_string(line, request.target, forms[i].type, field(answer, "Content-Type"));
        same_string(line, request.target, "no-store", field(answer, "Cache-Control"));
        same_string(line, request.target, ABSENT, field(answer, "ETag"));
        same_string(line, request.target, "Accept", field(answer, "Vary"));
        forms[i].check(line, answer, status, title, detail);
    }
}

struct bad {
    int line;
    const char *target, *detail;
};

static inline void check_bad(const struct bad cases[], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct request request = {.method = "GET", .target = cases[i].target};
        check_error(cases[i].line, request, 400, "Bad Request", cases[i].detail);
    }
}

#endif
