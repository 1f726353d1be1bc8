#include "respond.h"

#include "entity_tag.h"
#include "handler.h"
#include "token.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

const char *content_type(enum format format)
{
    static const char *const types[FORMATS] = {
        [FORMAT_TEXT] = "text/plain; charset=utf-8",
        [FORMAT_HTML] = "text/html; charset=utf-8",
        [FORMAT_JSON] = "application/json; charset=utf-8",
    };
    return types[format];
}

enum format choose_format(const struct context *context, struct response *response)
{
    const unsigned formats = response->route->formats;
    response->varies = context->requested == FORMAT_NONE;
    const enum format format =
        response->varies ? format_negotiate(context->request->accept, formats) : context->requested;
    if (!(formats & 1U << format))
        return FORMAT_NONE;
    response->content_type = content_type(format);
    return format;
}

const struct language *choose_language(const struct context *context, const char *requested,
                                       struct response *response)
{
    const struct language *language = requested ? language_tagged(requested) : NULL;
    response->varies_by_language = !language;
    if (!language)
        language = language_negotiate(context->request->accept_language);
    response->language = language->tag;
    return language;
}

/* Of any request: one whose body is cut short or ill-declared is not what the client sent. */
static void check_body(const struct request *request, struct fault *fault)
{
    const char *declared = request->content_length ? request->content_length : "";
    if (request->body_late) {
        fault_set(fault, 408, "The body took too long to arrive.");
    } else if (request->body_length > BODY_MAX) {
        fault_set(fault, 413, "The body is longer than %d bytes.", BODY_MAX);
    } else if (strspn(declared, "0123456789") != strlen(declared)) {
        fault_set(fault, 400, "Content-Length is not a number.");
    } else if (*declared && strtoull(declared, NULL, 10) != request->body_length) {
        fault_set(fault, 400, "The body has %zu bytes, Content-Length says otherwise.",
                  request->body_length);
    }
}

/* Before the path: a method that is not known is known for no resource (RFC 9110 section 9.1). */
static void check_method(const char *method, struct fault *fault)
{
    if (method_index(method) != METHOD_OTHER)
        return;
    if (is_token(method))
        fault_set(fault, 501, "The method is not known here.");
    else
        fault_set(fault, 400, "The method is no token.");
}

static void options(struct response *response)
{
    response->status = 204;
    response->tells_methods = true;
}

static void method_not_allowed(const struct context *context, struct response *response)
{
    const char *allowed[METHODS + 1];
    char detail[128];
    struct text text = text_in(detail, sizeof(detail));
    route_methods(response->route, allowed);
    text_add(&text, "This resource allows ");
    text_add_list(&text, allowed, " and ");
    text_add(&text, ".");
    problem(context, response, 405, detail);
    response->tells_methods = true;
}

/* RFC 9110 section 15.5.16: Accept says what is supported. */
static void type_not_supported(const struct context *context, struct response *response)
{
    const char *const *types = response->route->body_types;
    char detail[256];
    struct text text = text_in(detail, sizeof(detail));
    text_add(&text, "This resource takes ");
    text_add_list(&text, types, " and ");
    text_add(&text, " in UTF-8, and Content-Type must say so.");
    problem(context, response, 415, detail);
    text = text_in(detail, sizeof(detail));
    text_add_list(&text, types, ", ");
    response_add_field(response, "Accept", detail);
}

static bool has_type(const struct request *request, const char *const *types)
{
    if (request->content_encoding && strcasecmp(request->content_encoding, "identity") != 0)
        return false;
    while (*types && !(request->content_type && media_type_is(request->content_type, *types)))
        types++;
    return *types;
}

/* Whether the route takes the body that came; an empty one is none, and needs no type. */
static bool takes_body(const struct context *context, struct response *response)
{
    const struct request *request = context->request;
    const struct route *route = response->route;
    if (!route_takes_body(route, method_index(request->method)) || request->body_length == 0)
        return true;
    if (request->body_length > route->body_max) {
        struct fault fault;
        fault_set(&fault, 413, "The body is longer than %zu bytes.", route->body_max);
        problem(context, response, fault.status, fault.detail);
        return false;
    }
    if (has_type(request, route->body_types))
        return true;
    type_not_supported(context, response);
    return false;
}

static void dispatch(const struct context *context, struct response *response)
{
    const enum method method = method_index(context->request->method);
    if (!response->route)
        problem(context, response, 404, "There is nothing here. The greeting is at /.");
    else if (method == METHOD_OPTIONS)
        options(response);
    else if (!route_allows(response->route, method))
        method_not_allowed(context, response);
    else if (!takes_body(context, response))
        return;
    else if (response->route->waits && context->request->defers)
        response->deferred = true;
    else
        response->route->handle(context, response);
}

static bool is_given(const char *field)
{
    return field && field[strspn(field, " \t")];
}

/*
 * RFC 9110 sections 13.1 and 13.2, in the order of 13.2.2, for what would be a 200 without them.
 * If-Modified-Since and If-Unmodified-Since have nothing to be compared with, since no resource
 * here has a Last-Modified, and are ignored as sections 13.1.3 and 13.1.4 ask. A field that is
 * empty is as good as none: nginx does not tell them apart.
 */
static void apply_preconditions(const struct context *context, struct response *response)
{
    const struct request *request = context->request;
    const char *tag = response->entity_tag;
    if (is_given(request->if_match) &&
        !entity_tag_listed(request->if_match, tag, COMPARE_STRONGLY)) {
        problem(context, response, 412, "If-Match does not list what is here now.");
    } else if (is_given(request->if_none_match) &&
               entity_tag_listed(request->if_none_match, tag, COMPARE_WEAKLY)) {
        response->status = 304;
        response->head_only = true;
    }
}

static bool is_reading(const struct request *request)
{
    return strcmp(request->method, "GET") == 0 || strcmp(request->method, "HEAD") == 0;
}

/* What the route and its handler have left open. Preconditions of other methods are their
 * handlers', who have to look at them before they change anything. */
static void complete(const struct context *context, struct response *response)
{
    if (response->route && statuses[status_index(response->status)].code == 0)
        internal_error(context, response, "the status is not known: see core/response.c");
    else if (response->body.overflowed)
        internal_error(context, response, "the body does not fit, or memory is short");
    else if (response->fields.overflowed)
        internal_error(context, response, "the header fields do not fit");
    else if (response->failure && response->status != 500)
        internal_error(context, response, response->failure);
    if (response->status == 500 && !response->failure)
        response->failure = "the handler says so";
    if (response->tagged)
        entity_tag_of(response->content_type, &response->body, response->entity_tag);
    if (response->status == 200 && is_reading(context->request))
        apply_preconditions(context, response);
    if (strcmp(context->request->method, "HEAD") == 0)
        response->head_only = true;
}

void respond(const struct settings *settings, const struct request *request,
             struct response *response)
{
    struct target target;
    struct fault fault;
    response_init(response);
    target_parse(request->target, &target, &fault);
    const struct context context = {settings, request, target_format(request->target),
                                    &target.parameters};
    if (fault.status == 0)
        check_body(request, &fault);
    if (fault.status == 0)
        check_method(request->method, &fault);
    if (fault.status == 0)
        response->route = route_to(&target, &fault);
    if (fault.status != 0)
        problem(&context, response, fault.status, fault.detail);
    else
        dispatch(&context, response);
    if (!response->deferred)
        complete(&context, response);
}
