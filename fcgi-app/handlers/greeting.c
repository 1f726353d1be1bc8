/* GET /: "Hello World", in the format and for the name that the client wants: in ?name=, in the
 * path of GET /greetings/{name}, or, for whoever does not want it in URLs and logs, in the body of
 * a POST. */
#include "../core/handler.h"

#include <string.h>

enum { SALUTATION_SIZE = 2 * NAME_MAX_CODE_POINTS * 4 + 2 }; /* UTF-8 takes up to 4 bytes each */

/* Twice on a page, where a character takes up to six bytes, and a frame of less than 1 KiB. */
_Static_assert(2 * 6 * SALUTATION_SIZE + 1024 <= RESPONSE_BODY_MAX, "every greeting fits");

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

/* A greeting by name is for whoever asked: a shared cache would only fill up with them. The answer
 * to a POST is for nobody else at all (RFC 9110 section 9.3.3). */
static void greet(const struct context *context, const char *name, enum format format,
                  struct response *response)
{
    if (strcmp(context->request->method, "POST") != 0)
        response->caching = name ? CACHING_PRIVATE : CACHING_SHARED;
    response->quotes_input = name != NULL;
    response->tagged = response->caching != CACHING_NONE;
    add_greeting(&response->body, format, context->settings->greeting,
                 name ? name : context->settings->name);
}

void greeting(const struct context *context, struct response *response)
{
    enum { NAME, PARAMETERS };
    static const struct rule rules[PARAMETERS] = {
        [NAME] = {.name = "name", .max_length = NAME_MAX_CODE_POINTS},
    };
    const char *values[PARAMETERS];
    if (!parameters_read(context, rules, PARAMETERS, values, response))
        return;
    const enum format format = choose_format(context, response);
    if (format != FORMAT_NONE)
        greet(context, values[NAME], format, response);
    else
        not_acceptable(context, response);
}
