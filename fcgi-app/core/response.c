#include "response.h"

#include "token.h"

#include "page.css.h"

#include <string.h>
#include <strings.h>

void response_init(struct response *response)
{
    memset(response, 0, offsetof(struct response, field_bytes)); /* what follows is large */
    response->status = 200;
    response->fields = text_in(response->field_bytes, sizeof(response->field_bytes));
    response->body = text_in(response->body_bytes, RESPONSE_BODY_MAX);
}

#define STATUS(code, phrase)                                                                       \
    {                                                                                              \
        code, #code " " phrase                                                                     \
    }
const struct status statuses[STATUSES] = {
    STATUS(200, "OK"),
    STATUS(201, "Created"),
    STATUS(202, "Accepted"),
    STATUS(204, "No Content"),
    STATUS(301, "Moved Permanently"),
    STATUS(302, "Found"),
    STATUS(303, "See Other"),
    STATUS(304, "Not Modified"),
    STATUS(307, "Temporary Redirect"),
    STATUS(308, "Permanent Redirect"),
    STATUS(400, "Bad Request"),
    STATUS(401, "Unauthorized"),
    STATUS(403, "Forbidden"),
    STATUS(404, "Not Found"),
    STATUS(405, "Method Not Allowed"),
    STATUS(406, "Not Acceptable"),
    STATUS(408, "Request Timeout"),
    STATUS(409, "Conflict"),
    STATUS(410, "Gone"),
    STATUS(412, "Precondition Failed"),
    STATUS(413, "Content Too Large"),
    STATUS(414, "URI Too Long"),
    STATUS(415, "Unsupported Media Type"),
    STATUS(422, "Unprocessable Content"),
    STATUS(429, "Too Many Requests"),
    STATUS(500, "Internal Server Error"),
    STATUS(501, "Not Implemented"),
    STATUS(502, "Bad Gateway"),
    STATUS(503, "Service Unavailable"),
    STATUS(504, "Gateway Timeout"),
    {0, "000 Unknown"},
};

size_t status_index(int code)
{
    size_t i = 0;
    while (i < STATUSES - 1 && statuses[i].code != code)
        i++;
    return i;
}

const char *status_line(int code)
{
    return statuses[status_index(code)].line;
}

const char *reason_phrase(int code)
{
    return status_line(code) + sizeof("404");
}

/* Fields of the service, and of nginx, which would hand on a second one. */
static const char *const reserved[] = {
    "Access-Control-Allow-Headers",
    "Access-Control-Allow-Methods",
    "Access-Control-Allow-Origin",
    "Access-Control-Max-Age",
    "Age",
    "Allow",
    "Cache-Control",
    "Connection",
    "Content-Language",
    "Content-Length",
    "Content-Security-Policy",
    "Content-Type",
    "Cross-Origin-Opener-Policy",
    "Cross-Origin-Resource-Policy",
    "Date",
    "ETag",
    "Keep-Alive",
    "Referrer-Policy",
    "Server",
    "Status",
    "Transfer-Encoding",
    "Vary",
    "X-Cache",
    "X-Content-Type-Options",
    "X-Request-Id",
    "X-Robots-Tag",
};

static bool is_reserved(const char *name)
{
    for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++)
        if (strcasecmp(name, reserved[i]) == 0)
            return true;
    return false;
}

static bool is_field_value(const char *value)
{
    while (*value == '\t' || (*value >= ' ' && *value <= '~'))
        value++;
    return !*value;
}

void response_add_field(struct response *response, const char *name, const char *value)
{
    if (!is_token(name) || !is_field_value(value)) {
        response->failure = "a header field is not well-formed";
    } else if (is_reserved(name)) {
        response->failure = "a header field is the service's own";
    } else {
        text_add(&response->fields, name);
        text_add(&response->fields, ": ");
        text_add(&response->fields, value);
        text_add(&response->fields, "\r\n");
    }
}

/* name comes with its colon. */
static void add_field(struct text *head, const char *name, const char *value)
{
    text_add(head, name);
    text_add(head, value);
    text_add(head, "\r\n");
}

static void add_caching(struct text *head, enum caching caching)
{
    static const char *const fields[] = {
        [CACHING_NONE] = "Cache-Control: no-store\r\n",
        [CACHING_PRIVATE] = "Cache-Control: private, no-cache\r\n",
        [CACHING_SHARED] = "Cache-Control: public, max-age=1, stale-while-revalidate=9, "
                           "stale-if-error=9\r\n",
    };
    text_add(head, fields[caching]);
}

const char page_policy[] =
    "default-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
    "img-src 'self'; style-src '" HASH_OF_PAGE_CSS "'";
static const char policy[] =
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

static void add_security(struct text *head, const struct response *response)
{
    const bool is_page =
        response->content_type && strncmp(response->content_type, "text/html", 9) == 0;
    add_field(head, "Content-Security-Policy: ", is_page ? page_policy : policy);
    text_add(head, "Referrer-Policy: no-referrer\r\n"
                   "X-Content-Type-Options: nosniff\r\n");
    if (response->quotes_input)
        text_add(head, "X-Robots-Tag: noindex\r\n");
    if (is_page)
        text_add(head, "Cross-Origin-Opener-Policy: same-origin\r\n");
}

static void add_methods(struct text *head, const char *name, const struct route *route)
{
    const char *allowed[METHODS + 1];
    route_methods(route, allowed);
    text_add(head, name);
    text_add_list(head, allowed, ", ");
    text_add(head, "\r\n");
}

/* https://fetch.spec.whatwg.org/#http-cors-protocol. What is public is so for everybody, without
 * regard to Origin, so that it need not vary. The preflight is the answer to OPTIONS. */
static void add_sharing(struct text *head, const struct response *response)
{
    if (!response->route || !response->route->is_public) {
        text_add(head, "Cross-Origin-Resource-Policy: same-origin\r\n");
        return;
    }
    text_add(head, "Access-Control-Allow-Origin: *\r\n");
    if (!response->tells_methods || response->status != 204)
        return;
    add_methods(head, "Access-Control-Allow-Methods: ", response->route);
    text_add(head, "Access-Control-Allow-Headers: *\r\n"
                   "Access-Control-Max-Age: 86400\r\n");
}

/* A 204 has no content to describe; a 304 leaves that to the response the client has stored
 * (RFC 9110 sections 8.6 and 15.4.5). */
static void add_content(struct text *head, const struct response *response)
{
    if (!response->content_type || response->status == 304)
        return;
    add_field(head, "Content-Type: ", response->content_type);
    if (response->language)
        add_field(head, "Content-Language: ", response->language);
    text_add(head, "Content-Length: ");
    text_add_number(head, response->body.length);
    text_add(head, "\r\n");
}

/* In one field: see docs/design.md. */
static void add_negotiation(struct text *head, const struct response *response)
{
    if (!response->varies && !response->varies_by_language)
        return;
    text_add(head, response->varies ? "Vary: Accept" : "Vary: Accept-Language");
    text_add(head, response->varies && response->varies_by_language ? ", Accept-Language" : "");
    text_add(head, "\r\n");
}

size_t response_print(const struct response *response, char *bytes, size_t size)
{
    struct text out = text_in(bytes, size);
    add_field(&out, "Status: ", status_line(response->status));
    add_content(&out, response);
    add_caching(&out, response->caching);
    add_negotiation(&out, response);
    if (*response->entity_tag)
        add_field(&out, "ETag: ", response->entity_tag);
    if (response->tells_methods)
        add_methods(&out, "Allow: ", response->route);
    /* Seconds; a 503 is over soon, unless its handler says something else: RFC 9110 section 15.6.4.
     */
    if (response->status == 503 && !strcasestr(response->fields.bytes, "Retry-After: "))
        text_add(&out, "Retry-After: 1\r\n");
    add_security(&out, response);
    add_sharing(&out, response);
    text_add_bytes(&out, response->fields.bytes, response->fields.length);
    text_add(&out, "\r\n");
    if (!response->head_only)
        text_add_bytes(&out, response->body.bytes, response->body.length);
    return out.overflowed ? 0 : out.length;
}
