/* Whole requests: each line of the input is a part of one. */
#include "property.h"

#include "core/respond.h"
#include "core/trace.h"

#include <jansson.h>

enum { PRINTED_SIZE = RESPONSE_MAX };

struct printed {
    char bytes[PRINTED_SIZE];
    size_t length;
    const char *body;
    size_t head_length, body_length;
};

static const struct settings settings = {.workers = 2};

/* Lines that end in CR LF, of printable ASCII, then an empty one. */
static void check_head(const struct printed *printed)
{
    HOLDS(strncmp(printed->bytes, "Status: ", 8) == 0);
    HOLDS(!memchr(printed->bytes, '\0', printed->length));
    for (const char *line = printed->bytes; line < printed->body - 2;) {
        const size_t length = strcspn(line, "\r\n");
        HOLDS(length > 0 && line[length] == '\r' && line[length + 1] == '\n');
        for (size_t i = 0; i < length; i++)
            HOLDS(line[i] >= ' ' && line[i] <= '~');
        line += length + 2;
    }
}

static void print(const struct request *request, struct response *response, struct printed *printed)
{
    memset(response, 0xA5, sizeof(*response));
    respond(&settings, request, response);
    printed->length = response_print(response, printed->bytes, sizeof(printed->bytes));
    HOLDS(printed->length > 0);
    const char *end = strstr(printed->bytes, "\r\n\r\n");
    HOLDS(end);
    printed->body = end + 4;
    printed->head_length = (size_t)(printed->body - printed->bytes);
    printed->body_length = printed->length - printed->head_length;
    check_head(printed);
}

static size_t count_tags(const char *page)
{
    size_t count = 0;
    while ((page = strchr(page, '<')))
        count++, page++;
    return count;
}

static size_t tags_of(const char *target, const char *id)
{
    static struct response response;
    const struct request request = {
        .method = "GET", .target = target, .accept = "text/html", .request_id = id};
    respond(&settings, &request, &response);
    return count_tags(response.body.bytes);
}

/* A page has the tags that it always has, and none that a client sent. */
static void check_html(const char *page)
{
    const char *id = "of-the-test";
    const size_t count = count_tags(page);
    HOLDS(count == tags_of("/", NULL) || count == tags_of("/?lang=ar", NULL) ||
          count == tags_of("/nothing", NULL) || count == tags_of("/nothing", id));
}

static void check_body(const struct request *request, const struct response *response,
                       const char *body)
{
    json_t *utf8 = json_string(body); /* NULL where it is no UTF-8 */
    HOLDS(utf8 || !*body);
    json_decref(utf8);
    if (response->content_type && strstr(response->content_type, "json")) {
        json_t *json = json_loads(body, JSON_REJECT_DUPLICATES, NULL);
        HOLDS(json_is_object(json));
        json_decref(json);
    }
    if (response->content_type && strstr(response->content_type, "html"))
        check_html(body);
    const char *id = request_id_of(request);
    HOLDS(response->status < 400 || !id || strstr(body, id));
}

static void check_get(const struct request *request)
{
    static struct response response;
    static struct printed get, head;
    char length[64];
    print(request, &response, &get);
    HOLDS(response.status != 412 || request->if_match);
    HOLDS(response.status != 304 || request->if_none_match);
    HOLDS(!response.failure);
    if (!response.head_only) {
        HOLDS(get.body_length == response.body.length);
        snprintf(length, sizeof(length), "\r\nContent-Length: %zu\r\n", get.body_length);
        HOLDS(strstr(get.bytes, length) || !response.content_type);
        check_body(request, &response, get.body);
    }
    struct request without_body = *request;
    without_body.method = "HEAD";
    print(&without_body, &response, &head);
    HOLDS(head.body_length == 0 && head.head_length == get.head_length);
    HOLDS(memcmp(head.bytes, get.bytes, get.head_length) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *lines = string_of(data, size), *rest = lines;
    struct request request = {.method = "GET", .target = ""};
    const char **const members[] = {
        &request.target,         &request.accept,       &request.if_match,
        &request.if_none_match,  &request.request_id,   &request.method,
        &request.content_length, &request.content_type, &request.accept_language};
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]) && rest; i++)
        *members[i] = strsep(&rest, "\n");
    const size_t left = rest ? size - (size_t)(rest - lines) : 0;
    request.body_length = left < BODY_KEPT_MAX ? left : BODY_KEPT_MAX;
    char *body =
        malloc(request.body_length + !request.body_length); /* any bytes, and no NUL behind */
    request.body = memcpy(body, rest ? rest : "", request.body_length);
    static struct response response;
    static struct printed printed;
    print(&request, &response, &printed);
    if (!response.head_only)
        check_body(&request, &response, printed.body);
    request.method = "GET";
    check_get(&request);
    free(body);
    free(lines);
    return 0;
}
