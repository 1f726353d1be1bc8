#include "respond.h"

#include "entity_tag.h"
#include "handler.h"

#include <stdlib.h>
#include <string.h>

static const struct route {
    const char *path;
    handler *handle;
} routes[] = {
    {"/", greeting},
    {"/health", health},
    {"/ready", ready},
    {"/version", version},
};

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

static const struct route *route_to(const char *path)
{
    for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++)
        if (strcmp(path, routes[i].path) == 0)
            return &routes[i];
    return NULL;
}

static enum format requested_format(const struct target *target)
{
    for (size_t i = 0; i < target->parameter_count; i++)
        if (strcmp(target->parameters[i].name, "format") == 0)
            return format_named(target->parameters[i].value);
    return FORMAT_NONE;
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
    response->route = route ? route->path : NULL;
    if (!route)
        problem(context, response, 404, "There is nothing here. The greeting is at /.");
    else if (strcmp(method, "OPTIONS") == 0)
        options(response);
    else if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
        method_not_allowed(context, response);
    else
        route->handle(context, response);
}

static void check_unmodified(const struct request *request, struct response *response)
{
    if (!response->tagged)
        return;
    response->entity_tag = entity_tag_of(response->content_type, response->body.bytes);
    if (entity_tag_listed(request->if_none_match, response->entity_tag)) {
        response->status = 304;
        response->head_only = true;
    }
}

void respond(const struct settings *settings, const struct request *request,
             struct response *response)
{
    struct target target;
    struct fault fault;
    response_init(response);
    target_parse(request->target, &target, &fault);
    const struct context context = {settings, request, &target, requested_format(&target)};
    if (fault.status == 0)
        check_body(request, &fault);
    if (fault.status != 0)
        problem(&context, response, fault.status, fault.detail);
    else
        dispatch(&context, response);
    if (response->body.overflowed)
        fail(&context, response, "the body does not fit, or memory is short");
    check_unmodified(request, response);
    if (strcmp(request->method, "HEAD") == 0)
        response->head_only = true;
}
