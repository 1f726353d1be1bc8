#include "handler.h"
#include "trace.h"

#include "error.html.h"

#include <string.h>

static void add_text(struct text *body, int status, const char *detail, const char *id)
{
    text_add(body, status_line(status));
    text_add(body, "\n");
    text_add(body, detail);
    if (id) {
        text_add(body, "\nRequest: ");
        text_add(body, id);
    }
    text_add(body, "\n");
}

static void add_html(struct text *body, int status, const char *detail, const char *id)
{
    char code[sizeof("404")] = "";
    memcpy(code, status_line(status), sizeof(code) - 1);
    text_add_error_html(body, &(struct error_html){
                                  .status = code,
                                  .title = reason_phrase(status),
                                  .detail = detail,
                                  .request = (struct error_html_request[]){{id}, {NULL}},
                              });
}

static void add_problem_details(struct text *body, int status, const char *detail, const char *id)
{
    json_t *object = json_pack("{s:s, s:s, s:i, s:s}", "type", "about:blank", "title",
                               reason_phrase(status), "status", status, "detail", detail);
    text_add_json(body, json_with(object, "request_id", id));
}

/* A character takes up to six bytes when it is escaped, and the rest of a page less than 8192
 * bytes. */
_Static_assert(6 * sizeof(((struct fault *)NULL)->detail) + 8192 + REQUEST_ID_MAX <=
                   RESPONSE_BODY_MAX,
               "every error fits");

void problem(const struct context *context, struct response *response, int status,
             const char *detail)
{
    static const struct {
        const char *content_type;
        void (*add)(struct text *body, int status, const char *detail, const char *id);
    } forms[FORMATS] = {
        [FORMAT_TEXT] = {"text/plain; charset=utf-8", add_text},
        [FORMAT_HTML] = {"text/html; charset=utf-8", add_html},
        [FORMAT_JSON] = {"application/problem+json; charset=utf-8", add_problem_details},
    };
    const bool negotiated = context->requested == FORMAT_NONE;
    const enum format format =
        negotiated ? format_negotiate_problem(context->request->accept) : context->requested;
    const struct route *route = response->route;
    response_init(response);
    response->route = route;
    response->quotes_input = true;
    response->status = status;
    response->varies = negotiated;
    response->content_type = forms[format].content_type;
    const char *id = request_id_of(context->request);
    forms[format].add(&response->body, status, detail, id);
    if (response->body.overflowed) { /* text needs no memory */
        response->body = text_in(response->body_bytes, RESPONSE_BODY_MAX);
        response->content_type = forms[FORMAT_TEXT].content_type;
        add_text(&response->body, status, detail, id);
    }
}

void internal_error(const struct context *context, struct response *response, const char *reason)
{
    problem(context, response, 500, "The answer could not be put together.");
    response->failure = reason;
}

void not_acceptable(const struct context *context, struct response *response)
{
    static const char *const types[FORMATS] = {"text/plain", "text/html", "application/json"};
    const char *offered[FORMATS + 1] = {NULL}, *formats[FORMATS + 1];
    char detail[256];
    struct text text = text_in(detail, sizeof(detail));
    for (size_t format = 0, count = 0; format < FORMATS; format++)
        if (response->route->formats & 1U << format)
            offered[count++] = types[format];
    format_names(response->route->formats, formats);
    text_add(&text, "This comes as ");
    text_add_list(&text, offered, " and ");
    text_add(&text, "; ?format= chooses ");
    text_add_list(&text, formats, " and ");
    text_add(&text, " whatever Accept says.");
    problem(context, response, 406, detail);
}
