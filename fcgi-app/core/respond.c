#include "respond.h"

#include "entity_tag.h"
#include "handler.h"
#include "token.h"

#include <stdlib.h>
#include <string.h>

const struct route routes[ROUTES] = {
    {"/", greeting, true, false},
    {"/health", health, false, false},
    {"/ready", ready, false, false},
    {"/version", version, false, false},
};

bool any_route_waits(void)
{
    for (size_t i = 0; i < ROUTES; i++)
        if (routes[i].waits)
            return true;
    return false;
}

static const char allowed_methods[] = "GET, HEAD, OPTIONS";

const char *content_type(enum format format)
{
    static const char *const types[FORMATS] = {
        [FORMAT_TEXT] = "text/plain; charset=utf-8",
        [FORMAT_HTML] = "text/html; charset=utf-8",
        [FORMAT_JSON] = "application/json; charset=utf-8",
    };
    return types[format];
}

const char *const methods[METHODS] = {"GET",    "HEAD",  "OPTIONS", "POST",  "PUT",
                                      "DELETE", "PATCH", "CONNECT", "TRACE", "_OTHER"};

size_t method_index(const char *method)
{
    size_t i = 0;
    while (i < METHODS - 1 && strcmp(method, methods[i]) != 0)
        i++;
    return i;
}

static const struct route *route_to(const char *path)
{
    for (size_t i = 0; i < ROUTES; i++)
        if (strcmp(path, routes[i].path) == 0)
            return &routes[i];
    return NULL;
}

/* A body means nothing to any route, but one that is cut short or ill-declared says that the
 * request is not what the client sent. */
static void check_body(const struct request *request, struct fault *fault)
{
    const char *declared = request->content_length ? request->content_length : "";
    if (request->body_length > BODY_MAX) {
        fault_set(fault, 413, "The body is longer than %d bytes.", BODY_MAX);
    } else if (strspn(declared, "0123456789") != strlen(declared)) {
        fault_set(fault, 400, "Content-Length is not a number.");
    } else if (*declared && strtoull(declared, NULL, 10) != request->body_length) {
        fault_set(fault, 400, "The body has %zu bytes, Content-Length says otherwise.",
                  request->body_length);
    }
}

static bool is_token(const char *method)
{
    const char *end = method;
    while (is_token_character(*end))
        end++;
    return end > method && !*end;
}

/* Before the path: a method that is not known is known for no resource (RFC 9110 section 9.1). */
static void check_method(const char *method, struct fault *fault)
{
    if (method_index(method) < METHODS - 1)
        return;
    if (is_token(method))
        fault_set(fault, 501, "The method is not known here; GET, HEAD and OPTIONS are.");
    else
        fault_set(fault, 400, "The method is no token.");
}

static void options(struct response *response)
{
    response->status = 204;
    response->allow = allowed_methods;
}

static void method_not_allowed(const struct context *context, struct response *response)
{
    problem(context, response, 405, "This resource allows GET, HEAD and OPTIONS.");
    response->allow = allowed_methods;
}

static void fail(const struct context *context, struct response *response, const char *why)
{
    problem(context, response, 500, "The answer could not be put together.");
    response->failure = why;
}

static void dispatch(const struct context *context, struct response *response)
{
    const struct route *route = route_to(context->target->path);
    const char *method = context->request->method;
    response->route = route;
    if (!route)
        problem(context, response, 404, "There is nothing here. The greeting is at /.");
    else if (strcmp(method, "OPTIONS") == 0)
        options(response);
    else if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
        method_not_allowed(context, response);
    else if (route->waits && context->request->defers)
        response->deferred = true;
    else
        route->handle(context, response);
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

/* What the route and its handler have left open. */
static void complete(const struct context *context, struct response *response)
{
    if (response->body.overflowed)
        fail(context, response, "the body does not fit, or memory is short");
    if (response->tagged)
        entity_tag_of(response->content_type, response->body.bytes, response->entity_tag);
    if (response->status == 200)
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
    const struct context context = {settings, request, &target, target_format(request->target)};
    if (fault.status == 0)
        check_body(request, &fault);
    if (fault.status == 0)
        check_method(request->method, &fault);
    if (fault.status != 0)
        problem(&context, response, fault.status, fault.detail);
    else
        dispatch(&context, response);
    if (!response->deferred)
        complete(&context, response);
}
