/* GET /: "Hello World", in the format, in the language and for the name that the client wants: in
 * ?name=, in the path of GET /greetings/{name}, or, for whoever does not want it in URLs and logs,
 * in the body of a POST. */
#include "../core/handler.h"
#include "../core/utf8.h"
#include "../core/version.h"
#include "greeting.html.h"

#include <string.h>

enum {
    WORD_SIZE = 4 * NAME_MAX_CODE_POINTS + 2, /* of UTF-8, which takes up to 4 bytes each */
    LINE_CODE_POINTS = 24                     /* a longer salutation is written smaller */
};

/* On a page twice the name and twice what stands around it, where a character takes up to six
 * bytes, and all the rest. */
_Static_assert(4 * 6 * WORD_SIZE + 16384 <= RESPONSE_BODY_MAX, "every greeting fits");

/* The name, and what stands around it. */
struct salutation {
    char before[WORD_SIZE];
    const char *name, *after;
    const struct language *language;
};

/* name: the client's, or NULL. What the operator has set holds in all languages. */
static struct salutation salutation_for(const struct settings *settings, const char *name,
                                        const struct language *language)
{
    struct salutation salutation = {.language = language};
    struct text before = text_in(salutation.before, sizeof(salutation.before));
    name = name ? name : settings->name;
    const struct frame *frame = name ? &language->by_name : &language->to_all;
    salutation.name = name ? name : language->world;
    salutation.after = settings->greeting ? "" : frame->after;
    text_add(&before, settings->greeting ? settings->greeting : frame->before);
    text_add(&before, settings->greeting ? " " : "");
    return salutation;
}

static void add_text(struct text *body, const struct salutation *salutation)
{
    text_add(body, salutation->before);
    text_add(body, salutation->name);
    text_add(body, salutation->after);
}

static void add_object(struct text *body, const struct salutation *salutation)
{
    char whole[3 * WORD_SIZE];
    struct text text = text_in(whole, sizeof(whole));
    add_text(&text, salutation);
    text_add_json(body, json_pack("{s:s, s:s}", "greeting", whole, "name", salutation->name));
}

/* The name stands in a bdi: one that is written from right to left must not reorder what stands
 * around it. */
static void add_page(struct text *body, const struct settings *settings,
                     const struct salutation *salutation, bool chosen)
{
    const struct language *language = salutation->language;
    char whole[3 * WORD_SIZE];
    struct text text = text_in(whole, sizeof(whole));
    struct greeting_html_languages links[LANGUAGES + 1] = {0};
    for (size_t i = 0; i < LANGUAGES; i++)
        links[i] = (struct greeting_html_languages){
            languages[i].tag, &languages[i] == language ? "true" : "false", languages[i].endonym};
    add_text(&text, salutation);
    text_add_greeting_html(
        body,
        &(struct greeting_html){
            .language = language->tag,
            .direction = language->direction,
            .before = salutation->before,
            .name = salutation->name,
            .after = salutation->after,
            .size = utf8_check(whole, LINE_CODE_POINTS) == UTF8_OK ? "short" : "long",
            .label = language->label,
            .chosen = (struct greeting_html_chosen[]){{chosen ? language->tag : NULL}, {NULL}},
            .button = language->button,
            .languages = links,
            .facts =
                (struct greeting_html_facts[]){
                    {language->version, build_version},
                    {settings->revision ? language->revision : NULL, settings->revision},
                    {settings->region ? language->region : NULL, settings->region},
                    {NULL, NULL},
                },
        });
}

static void add_greeting(struct response *response, enum format format,
                         const struct settings *settings, const struct salutation *salutation)
{
    struct text *body = &response->body;
    switch (format) {
    case FORMAT_HTML:
        add_page(body, settings, salutation, !response->varies_by_language);
        break;
    case FORMAT_JSON:
        add_object(body, salutation);
        break;
    default:
        add_text(body, salutation);
        text_add(body, "\n");
    }
}

/* A greeting by name is for whoever asked: a shared cache would only fill up with them. The answer
 * to a POST is for nobody else at all (RFC 9110 section 9.3.3). */
static void greet(const struct context *context, const char *name, const struct language *language,
                  enum format format, struct response *response)
{
    const struct salutation salutation = salutation_for(context->settings, name, language);
    if (strcmp(context->request->method, "POST") != 0)
        response->caching = name ? CACHING_PRIVATE : CACHING_SHARED;
    response->quotes_input = name != NULL;
    response->tagged = response->caching != CACHING_NONE;
    add_greeting(response, format, context->settings, &salutation);
}

void greeting(const struct context *context, struct response *response)
{
    enum { NAME, LANG, PARAMETERS };
    static const struct rule rules[PARAMETERS] = {
        [NAME] = {.name = "name", .max_length = NAME_MAX_CODE_POINTS},
        [LANG] = {.name = "lang", .choices = language_tags},
    };
    const char *values[PARAMETERS];
    if (!parameters_read(context, rules, PARAMETERS, values, response))
        return;
    const enum format format = choose_format(context, response);
    if (format == FORMAT_NONE)
        not_acceptable(context, response);
    else
        greet(context, values[NAME], choose_language(context, values[LANG], response), format,
              response);
}
