#include "route.h"

#include "handler.h"

#include <stdio.h>
#include <string.h>

const struct route routes[ROUTES] = {
#define ROUTE(handler, ...) {.handle = (handler), __VA_ARGS__},
#include "../routes.def"
#undef ROUTE
};

const char *const methods[METHODS] = {"GET",    "HEAD",  "OPTIONS", "POST",  "PUT",
                                      "DELETE", "PATCH", "CONNECT", "TRACE", "_OTHER"};

enum method method_index(const char *method)
{
    enum method i = 0;
    while (i < METHOD_OTHER && strcmp(method, methods[i]) != 0)
        i++;
    return i;
}

/* Whether segment is the one that path begins with, or may stand for its {parameter}. A dot segment
 * may not: a browser, which resolves it, would never send it. */
static bool segment_fits(const char *path, const char *segment)
{
    const size_t length = strcspn(path, "/");
    if (*path == '{')
        return *segment && strcmp(segment, ".") != 0 && strcmp(segment, "..") != 0;
    return strlen(segment) == length && memcmp(segment, path, length) == 0;
}

static bool path_fits(const char *path, const struct target *target)
{
    for (size_t i = 0; i < target->segment_count; i++, path += strcspn(path, "/"))
        if (*path++ != '/' || !segment_fits(path, target->segments[i]))
            return false;
    return !*path;
}

/* The {parameter} in path, whose name lives in target from now on. */
static void add_parameter(const char *path, struct target *target, struct fault *fault)
{
    const char *named = strchr(path, '{');
    size_t i = 0;
    if (!named)
        return;
    for (const char *slash = path + 1; (slash = memchr(slash, '/', (size_t)(named - slash)));)
        slash++, i++;
    snprintf(target->named, sizeof(target->named), "%.*s", (int)strcspn(named + 1, "}"), named + 1);
    parameters_add(&target->parameters,
                   (struct parameter){target->named, target->segments[i], IN_PATH}, fault);
}

const struct route *route_to(struct target *target, struct fault *fault)
{
    for (const struct route *route = routes; route < routes + ROUTES; route++) {
        if (!path_fits(route->path, target))
            continue;
        add_parameter(route->path, target, fault);
        return route;
    }
    return NULL;
}

bool any_route_waits(void)
{
    for (size_t i = 0; i < ROUTES; i++)
        if (routes[i].waits)
            return true;
    return false;
}

bool route_allows(const struct route *route, enum method method)
{
    if (method == METHOD_HEAD)
        method = METHOD_GET;
    return method == METHOD_OPTIONS || route->methods & 1U << method;
}

bool route_takes_body(const struct route *route, enum method method)
{
    return route->body_max > 0 && (1U << method) & (POST | PUT | PATCH);
}

void route_methods(const struct route *route, const char *allowed[METHODS + 1])
{
    for (enum method method = 0; method < METHODS; method++)
        if (route_allows(route, method))
            *allowed++ = methods[method];
    *allowed = NULL;
}
