#include "response.h"

#include <string.h>

void response_init(struct response *response)
{
    response->status = 200;
    response->route = NULL;
    response->failure = NULL;
    response->content_type = NULL;
    response->caching = CACHING_NONE;
    response->allow = NULL;
    response->varies = false;
    response->is_public = false;
    response->quotes_input = false;
    response->tagged = false;
    response->entity_tag[0] = '\0';
    response->head_only = false;
    response->body = text_in(response->body_bytes, sizeof(response->body_bytes));
}

const char *reason_phrase(int status)
{
    static const struct {
        int status;
        const char *phrase;
    } phrases[] = {
        {200, "OK"},
        {204, "No Content"},
        {304, "Not Modified"},
        {400, "Bad Request"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {406, "Not Acceptable"},
        {412, "Precondition Failed"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {503, "Service Unavailable"},
    };
    for (size_t i = 0; i < sizeof(phrases) / sizeof(phrases[0]); i++)
        if (phrases[i].status == status)
            return phrases[i].phrase;
    return "Unknown";
}

static void add_field(struct text *head, const char *name, const char *value)
{
    text_add(head, name);
    text_add(head, ": ");
    text_add(head, value);
    text_add(head, "\r\n");
}

static void add_status(struct text *head, int status)
{
    text_add(head, "Status: ");
    text_add_number(head, (size_t)status);
    text_add(head, " ");
    text_add(head, reason_phrase(status));
    text_add(head, "\r\n");
}

static void add_caching(struct text *head, enum caching caching)
{
    static const char *const values[] = {
        [CACHING_NONE] = "no-store",
        [CACHING_PRIVATE] = "private, no-cache",
        [CACHING_SHARED] = "public, max-age=1, stale-while-revalidate=9, stale-if-error=9",
    };
    add_field(head, "Cache-Control", values[caching]);
}

/* The page has no script, style, image or form of its own, so that nothing at all is allowed. */
static void add_security(struct text *head, const struct response *response)
{
    text_add(head, "Content-Security-Policy: default-src 'none'; base-uri 'none'; "
                   "form-action 'none'; frame-ancestors 'none'\r\n"
                   "Referrer-Policy: no-referrer\r\n"
                   "X-Content-Type-Options: nosniff\r\n");
    if (response->quotes_input)
        add_field(head, "X-Robots-Tag", "noindex");
    if (response->content_type && strncmp(response->content_type, "text/html", 9) == 0)
        add_field(head, "Cross-Origin-Opener-Policy", "same-origin");
}

/* https://fetch.spec.whatwg.org/#http-cors-protocol. What is public is so for everybody, without
 * regard to Origin, so that it need not vary. The preflight is the answer to OPTIONS. */
static void add_sharing(struct text *head, const struct response *response)
{
    if (!response->is_public) {
        add_field(head, "Cross-Origin-Resource-Policy", "same-origin");
        return;
    }
    add_field(head, "Access-Control-Allow-Origin", "*");
    if (response->status == 204)
        text_add(head, "Access-Control-Allow-Methods: GET, HEAD, OPTIONS\r\n"
                       "Access-Control-Allow-Headers: *\r\n"
                       "Access-Control-Max-Age: 86400\r\n");
}

/* A 204 has no content to describe; a 304 leaves that to the response the client has stored
 * (RFC 9110 sections 8.6 and 15.4.5). */
static void add_content(struct text *head, const struct response *response)
{
    if (!response->content_type || response->status == 304)
        return;
    add_field(head, "Content-Type", response->content_type);
    text_add(head, "Content-Length: ");
    text_add_number(head, response->body.length);
    text_add(head, "\r\n");
}

size_t response_print(const struct response *response, char *bytes, size_t size)
{
    struct text out = text_in(bytes, size);
    add_status(&out, response->status);
    add_content(&out, response);
    add_caching(&out, response->caching);
    if (response->varies)
        add_field(&out, "Vary", "Accept");
    if (*response->entity_tag)
        add_field(&out, "ETag", response->entity_tag);
    if (response->allow)
        add_field(&out, "Allow", response->allow);
    add_security(&out, response);
    add_sharing(&out, response);
    text_add(&out, "\r\n");
    if (!response->head_only)
        text_add(&out, response->body.bytes);
    return out.overflowed ? 0 : out.length;
}
