/* GET /: "Hello World", in the format and for the name that the client wants. */
#include "../core/handler.h"
#include "../core/utf8.h"

#include <string.h>

enum { SALUTATION_SIZE = 2 * NAME_MAX_CODE_POINTS * 4 + 2 }; /* UTF-8 takes up to 4 bytes each */

/* Twice on a page, where a character takes up to six bytes, and a frame of less than 1 KiB. */
_Static_assert(2 * 6 * SALUTATION_SIZE + 1024 <= RESPONSE_BODY_MAX, "every greeting fits");

/* The value of the one parameter of that name, NULL when there is none; a fault when it is there
 * twice, since then nobody knows which one was meant. */
static const char *single(const struct target *target, const char *name, struct fault *fault)
{
    const char *value = NULL;
    for (size_t i = 0; i < target->parameter_count; i++) {
        if (strcmp(target->parameters[i].name, name) != 0)
            continue;
        if (value)
            fault_set(fault, 400, "The query parameter \"%s\" is given more than once.", name);
        value = target->parameters[i].value;
    }
    return value;
}

static void refuse_unknown(const struct target *target, struct fault *fault)
{
    for (size_t i = 0; i < target->parameter_count; i++) {
        const char *name = target->parameters[i].name;
        if (strcmp(name, "name") != 0 && strcmp(name, "format") != 0)
            fault_set(fault, 400, "There is no query parameter \"%s\", only name and format.",
                      parameter_quoted(name));
    }
}

static void check_name(const char *name, struct fault *fault)
{
    if (name && utf8_is_blank(name))
        fault_set(fault, 400, "The query parameter \"name\" is %s.", *name ? "blank" : "empty");
    else if (name && utf8_check(name, NAME_MAX_CODE_POINTS) != UTF8_OK)
        fault_set(fault, 400, "The query parameter \"name\" is longer than %d characters.",
                  NAME_MAX_CODE_POINTS);
}

static void check_format(const char *format, struct fault *fault)
{
    if (format && format_named(format) == FORMAT_NONE)
        fault_set(fault, 400, "The query parameter \"format\" is none of text, html and json.");
}

static void add_salutation(struct text *body, const char *greeting, const char *name)
{
    text_add(body, greeting);
    text_add(body, " ");
    text_add(body, name);
}

/* bdi: a name that is written from right to left must not reorder what stands around it. */
static void add_page(struct text *body, const char *greeting, const char *name)
{
    text_add(body, "<!doctype html>\n<html>\n<meta charset=\"utf-8\">\n"
                   "<meta name=\"viewport\" content=\"width=device-width\">\n<title>");
    text_add_html(body, greeting);
    text_add(body, " ");
    text_add_html(body, name);
    text_add(body, "</title>\n<h1>");
    text_add_html(body, greeting);
    text_add(body, " <bdi>");
    text_add_html(body, name);
    text_add(body, "</bdi></h1>\n</html>\n");
}

static void add_object(struct text *body, const char *greeting, const char *name)
{
    char salutation[SALUTATION_SIZE];
    struct text text = text_in(salutation, sizeof(salutation));
    add_salutation(&text, greeting, name);
    text_add_json(body, json_pack("{s:s, s:s}", "greeting", salutation, "name", name));
}

static void add_greeting(struct text *body, enum format format, const char *greeting,
                         const char *name)
{
    switch (format) {
    case FORMAT_HTML:
        add_page(body, greeting, name);
        break;
    case FORMAT_JSON:
        add_object(body, greeting, name);
        break;
    default:
        add_salutation(body, greeting, name);
        text_add(body, "\n");
    }
}

/* A greeting by name is for whoever asked: a shared cache would only fill up with them. */
static void greet(const struct context *context, const char *name, enum format format,
                  struct response *response)
{
    response->content_type = content_type(format);
    response->varies = context->requested == FORMAT_NONE;
    response->caching = name ? CACHING_PRIVATE : CACHING_SHARED;
    response->quotes_input = name != NULL;
    response->tagged = true;
    add_greeting(&response->body, format, context->settings->greeting,
                 name ? name : context->settings->name);
}

void greeting(const struct context *context, struct response *response)
{
    struct fault fault = {.status = 0};
    const char *name = single(context->target, "name", &fault);
    const char *wanted = single(context->target, "format", &fault);
    refuse_unknown(context->target, &fault);
    check_name(name, &fault);
    check_format(wanted, &fault);
    const enum format format =
        wanted ? context->requested : format_negotiate(context->request->accept);
    if (fault.status == 0 && format == FORMAT_NONE)
        fault_set(&fault, 406,
                  "The greeting comes as text/plain, text/html or application/json; "
                  "?format=text, html or json chooses one whatever Accept says.");
    if (fault.status != 0)
        problem(context, response, fault.status, fault.detail);
    else
        greet(context, name, format, response);
}
