#include "handler.h"
#include "utf8.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

void fault_set(struct fault *fault, int status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fault->status = status;
    vsnprintf(fault->detail, sizeof(fault->detail), format, arguments);
    va_end(arguments);
}

/* --- What a request has --------------------------------------------------------------------- */

static const char *const places[] = {
    [IN_PATH] = "path parameter",
    [IN_QUERY] = "query parameter",
    [IN_FORM] = "form field",
    [IN_JSON] = "JSON member",
};

/* NULL, or what is wrong with text. */
static const char *wrong_with(const char *text)
{
    switch (utf8_check(text, SIZE_MAX)) {
    case UTF8_MALFORMED:
        return "is not valid UTF-8";
    case UTF8_CONTROL:
        return "has a control character";
    case UTF8_DIRECTIONAL:
        return "has a character that turns the direction of text";
    case UTF8_NONCHARACTER:
        return "has a noncharacter, such as U+FFFF";
    default:
        return NULL;
    }
}

static int hexadecimal(char digit)
{
    static const char digits[] = "0123456789abcdef";
    const char *found = digit ? strchr(digits, tolower((unsigned char)digit)) : NULL;
    return found ? (int)(found - digits) : -1;
}

const char *percent_decode(char *text, bool plus_is_space)
{
    char *write = text;
    for (const char *read = text; *read; read++) {
        char character = *read;
        if (character == '+' && plus_is_space) {
            character = ' ';
        } else if (character == '%') {
            const int high = hexadecimal(read[1]);
            const int low = high < 0 ? -1 : hexadecimal(read[2]);
            if (low < 0)
                return "has a '%' that is not followed by two hexadecimal digits";
            character = (char)(high * 16 + low);
            if (!character)
                return "has a NUL character";
            read += 2;
        }
        *write++ = character;
    }
    *write = '\0';
    return wrong_with(text);
}

/* name where it is short enough to be quoted in a fault, else words that stand for it. */
static const char *quoted(const char *name)
{
    enum { QUOTED_MAX = 32 }; /* code points: no parameter that any route takes is longer */
    _Static_assert(QUOTED_MAX * 4 + 128 <= sizeof(((struct fault *)NULL)->detail), "and fits");
    return utf8_check(name, QUOTED_MAX) == UTF8_OK ? name : "(over-long name)";
}

void parameters_add(struct parameters *parameters, struct parameter parameter, struct fault *fault)
{
    if (parameters->count == PARAMETERS_MAX)
        fault_set(fault, 400, "The request has more than %d parameters.", PARAMETERS_MAX);
    else
        parameters->list[parameters->count++] = parameter;
}

/* pair: "name=value", writable. */
static void add_pair(struct parameters *parameters, char *pair, enum place in, struct fault *fault)
{
    char *value = pair + strcspn(pair, "=");
    if (*value)
        *value++ = '\0';
    const char *wrong = percent_decode(pair, true);
    if (wrong) {
        fault_set(fault, 400, "The name of %s %zu %s.", places[in], parameters->count + 1, wrong);
        return;
    }
    wrong = percent_decode(value, true);
    if (wrong)
        fault_set(fault, 400, "The %s \"%s\" %s.", places[in], quoted(pair), wrong);
    else
        parameters_add(parameters, (struct parameter){pair, value, in}, fault);
}

void parameters_split(struct parameters *parameters, char *pairs, enum place in,
                      struct fault *fault)
{
    for (char *pair; fault->status == 0 && (pair = strsep(&pairs, "&"));)
        if (*pair)
            add_pair(parameters, pair, in, fault);
}

static void add_form(struct parameters *parameters, const struct request *request,
                     struct fault *fault)
{
    memcpy(parameters->storage, request->body, request->body_length);
    parameters->storage[request->body_length] = '\0';
    if (strlen(parameters->storage) < request->body_length)
        fault_set(fault, 400, "The form has a NUL character.");
    parameters_split(parameters, parameters->storage, IN_FORM, fault);
}

/* Copies string to *room, which then begins behind it. */
static const char *store(char **room, const char *string)
{
    const size_t size = strlen(string) + 1;
    char *stored = memcpy(*room, string, size);
    *room += size;
    return stored;
}

/* There is room for all: with its quotes each string takes more in the body than here. */
static void add_member(struct parameters *parameters, const char *name, const json_t *member,
                       char **room, struct fault *fault)
{
    const char *value = json_string_value(member);
    const char *wrong = wrong_with(name);
    if (wrong) {
        fault_set(fault, 400, "The name of a JSON member %s.", wrong);
        return;
    }
    wrong = value ? wrong_with(value) : "is no string";
    if (wrong) {
        fault_set(fault, 400, "The JSON member \"%s\" %s.", quoted(name), wrong);
        return;
    }
    name = store(room, name);
    parameters_add(parameters, (struct parameter){name, store(room, value), IN_JSON}, fault);
}

static void add_object(struct parameters *parameters, const struct request *request,
                       struct fault *fault)
{
    char *room = parameters->storage;
    const char *name;
    json_t *member;
    json_error_t error;
    json_t *object =
        json_loadb(request->body, request->body_length, JSON_REJECT_DUPLICATES, &error);
    if (!object && !*error.text) /* jansson has no words, nor a code, for memory that is short */
        fault_set(fault, 500, "Memory is short.");
    else if (!object)
        fault_set(fault, 400, "The body is no JSON: byte %d is wrong.", error.position);
    else if (!json_is_object(object))
        fault_set(fault, 400, "The body is no JSON object.");
    json_object_foreach(object, name, member) if (fault->status == 0)
        add_member(parameters, name, member, &room, fault);
    json_decref(object);
}

void parameters_of_body(struct parameters *parameters, const struct request *request,
                        struct fault *fault)
{
    if (request->body_length == 0 || !request->content_type)
        return;
    if (media_type_is(request->content_type, FORM_TYPE))
        add_form(parameters, request, fault);
    else if (media_type_is(request->content_type, JSON_TYPE))
        add_object(parameters, request, fault);
}

/* --- What a handler takes ------------------------------------------------------------------- */

static bool is_choice(const char *const *choices, const char *value)
{
    while (*choices && strcmp(*choices, value) != 0)
        choices++;
    return *choices;
}

/* The first that does not hold of what a rule says. wrong gets it, and stays empty where all does.
 */
static void check_value(const struct rule *rule, const char *value, struct text *wrong)
{
    if (rule->choices) {
        if (is_choice(rule->choices, value))
            return;
        text_add(wrong, "is none of ");
        text_add_list(wrong, rule->choices, " and ");
    } else if (utf8_is_blank(value)) {
        text_add(wrong, *value ? "is blank" : "is empty");
    } else if (rule->max_length > 0 && utf8_check(value, rule->max_length) != UTF8_OK) {
        text_add(wrong, "is longer than ");
        text_add_number(wrong, rule->max_length);
        text_add(wrong, " characters");
    } else {
        const char *fault = rule->check ? rule->check(value) : NULL;
        text_add(wrong, fault ? fault : "");
    }
}

/* The rules of a handler, and that of ?format=. */
struct reading {
    const struct rule *rules;
    size_t count;
    const char **values;
    struct rule format;
    const char *format_value;
    struct fault fault;
    const char *reason; /* where fault.status is 500 */
};

static void refuse_unknown(struct reading *reading, const struct parameter *parameter)
{
    const char *known[PARAMETERS_MAX + 2] = {NULL};
    char list[256];
    struct text text = text_in(list, sizeof(list));
    size_t i = 0;
    for (; i < reading->count && i < PARAMETERS_MAX; i++)
        known[i] = reading->rules[i].name;
    if (parameter->in == IN_QUERY)
        known[i] = reading->format.name;
    text_add_list(&text, known, " and ");
    fault_set(&reading->fault, 400, "There is no %s \"%s\"%s%s.", places[parameter->in],
              quoted(parameter->name), *known ? ", only " : "", list);
}

static void read_one(struct reading *reading, const struct parameter *parameter)
{
    const struct rule *rule = &reading->format;
    const char **value = &reading->format_value;
    for (size_t i = 0; i < reading->count; i++) {
        if (strcmp(parameter->name, reading->rules[i].name) == 0) {
            rule = &reading->rules[i];
            value = &reading->values[i];
        }
    }
    if (rule == &reading->format &&
        (parameter->in != IN_QUERY || !rule->name || strcmp(parameter->name, rule->name) != 0)) {
        if (parameter->in != IN_PATH) {
            refuse_unknown(reading, parameter);
        } else { /* no client's fault, whatever it sends */
            reading->fault.status = 500;
            reading->reason = "the handler has no rule for the parameter of its path";
        }
        return;
    }
    char sentence[256];
    struct text wrong = text_in(sentence, sizeof(sentence));
    if (*value)
        text_add(&wrong, "is given more than once");
    else
        check_value(rule, parameter->value, &wrong);
    *value = parameter->value;
    if (wrong.length > 0)
        fault_set(&reading->fault, 400, "The %s \"%s\" %s.", places[parameter->in], rule->name,
                  sentence);
}

static void refuse_missing(struct reading *reading)
{
    for (size_t i = 0; i < reading->count; i++)
        if (reading->rules[i].required && !reading->values[i])
            fault_set(&reading->fault, 400, "The parameter \"%s\" is missing.",
                      reading->rules[i].name);
}

bool parameters_read(const struct context *context, const struct rule *rules, size_t count,
                     const char *values[], struct response *response)
{
    const struct route *route = response->route;
    const char *formats[FORMATS + 1];
    struct parameters *parameters = context->parameters;
    struct reading reading = {rules, count, values, .reason = "memory is short"};
    format_names(route->formats, formats);
    if (*formats)
        reading.format = (struct rule){.name = "format", .choices = formats};
    memset(values, 0, count * sizeof(*values));
    if (route_takes_body(route, method_index(context->request->method)))
        parameters_of_body(parameters, context->request, &reading.fault);
    for (size_t i = 0; reading.fault.status == 0 && i < parameters->count; i++)
        read_one(&reading, &parameters->list[i]);
    if (reading.fault.status == 0)
        refuse_missing(&reading);
    if (reading.fault.status == 500)
        internal_error(context, response, reading.reason);
    else if (reading.fault.status != 0)
        problem(context, response, reading.fault.status, reading.fault.detail);
    return reading.fault.status == 0;
}
