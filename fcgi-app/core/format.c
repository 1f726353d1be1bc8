#include "format.h"

#include "token.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

struct media_type {
    const char *type, *subtype;
};

/* In the order of enum format; the last is what errors use in JSON's place. */
enum { MEDIA_PROBLEM = FORMATS, MEDIA_TYPES };
static const struct media_type media_types[MEDIA_TYPES] = {
    {"text", "plain"}, {"text", "html"}, {"application", "json"}, {"application", "problem+json"}};

struct span {
    const char *start;
    size_t length;
};

enum parameters { PARAMETERS_NONE, PARAMETERS_UTF8, PARAMETERS_OTHER };

struct media_range {
    struct span type, subtype;
    enum parameters parameters;
    bool other_charset; /* than UTF-8 */
    int quality;
};

static const char *const names[FORMATS] = {"text", "html", "json"};

void format_names(unsigned formats, const char *named[FORMATS + 1])
{
    for (enum format format = 0; format < FORMATS; format++)
        if (formats & 1U << format)
            *named++ = names[format];
    *named = NULL;
}

enum format format_named(const char *name)
{
    for (enum format format = 0; format < FORMATS; format++)
        if (strcmp(name, names[format]) == 0)
            return format;
    return FORMAT_NONE;
}

static bool span_is(struct span span, const char *string)
{
    return span.length == strlen(string) && strncasecmp(span.start, string, span.length) == 0;
}

/* The same for a value, in which a quoted-pair stands for its second character (RFC 9110 section
 * 5.6.4). */
static bool value_is(struct span value, const char *string)
{
    size_t i = 0;
    for (; i < value.length && *string; i++, string++) {
        if (value.start[i] == '\\')
            i++;
        if (strncasecmp(value.start + i, string, 1) != 0)
            return false;
    }
    return i == value.length && !*string;
}

static void skip_space(const char **cursor)
{
    *cursor += strspn(*cursor, " \t");
}

static bool take(const char **cursor, char character)
{
    if (**cursor != character)
        return false;
    (*cursor)++;
    return true;
}

static bool take_token(const char **cursor, struct span *token)
{
    token->start = *cursor;
    while (is_token_character(**cursor))
        (*cursor)++;
    token->length = (size_t)(*cursor - token->start);
    return token->length > 0;
}

/* token or quoted-string, RFC 9110 section 5.6.4; value is what stands between the quotes. */
static bool take_value(const char **cursor, struct span *value)
{
    if (!take(cursor, '"'))
        return take_token(cursor, value);
    value->start = *cursor;
    while (**cursor && **cursor != '"')
        *cursor += (**cursor == '\\' && (*cursor)[1]) ? 2 : 1;
    value->length = (size_t)(*cursor - value->start);
    return take(cursor, '"');
}

bool quality_read(const char *value, size_t length, int *quality)
{
    if (length == 0 || length > 5 || value[0] < '0' || value[0] > '1' ||
        (length > 1 && value[1] != '.'))
        return false;
    *quality = (value[0] - '0') * QUALITY_ONE;
    int unit = QUALITY_ONE;
    for (size_t i = 2; i < length; i++) {
        if (value[i] < '0' || value[i] > '9')
            return false;
        unit /= 10;
        *quality += (value[i] - '0') * unit;
    }
    return *quality <= QUALITY_ONE;
}

/* One parameter behind its semicolon, which may also stand alone (RFC 9110 section 5.6.6). */
static bool take_parameter(const char **cursor, struct media_range *range)
{
    struct span name, value;
    skip_space(cursor);
    if (!take_token(cursor, &name))
        return **cursor == '\0' || strchr(";,", **cursor) != NULL;
    if (!take(cursor, '=') || !take_value(cursor, &value))
        return false;
    if (span_is(name, "q"))
        return quality_read(value.start, value.length, &range->quality);
    range->other_charset |= span_is(name, "charset") && !value_is(value, "utf-8");
    if (!span_is(name, "charset") || range->other_charset)
        range->parameters = PARAMETERS_OTHER;
    else if (range->parameters == PARAMETERS_NONE)
        range->parameters = PARAMETERS_UTF8;
    return true;
}

/* media-range with its weight, up to the comma behind it; false when ill-formed. */
static bool take_range(const char **cursor, struct media_range *range)
{
    *range = (struct media_range){.quality = QUALITY_ONE};
    if (!take_token(cursor, &range->type) || !take(cursor, '/') ||
        !take_token(cursor, &range->subtype))
        return false;
    for (skip_space(cursor); take(cursor, ';'); skip_space(cursor))
        if (!take_parameter(cursor, range))
            return false;
    return **cursor == ',' || **cursor == '\0';
}

bool media_type_is(const char *content_type, const char *media_type)
{
    struct media_range range;
    const size_t length = strcspn(media_type, "/");
    skip_space(&content_type);
    return take_range(&content_type, &range) && !*content_type && !range.other_charset &&
           range.type.length == length && strncasecmp(range.type.start, media_type, length) == 0 &&
           span_is(range.subtype, media_type + length + 1);
}

/* How closely range describes the type in UTF-8: 0 for not at all, else more is more specific. */
static int specificity(const struct media_range *range, const struct media_type *media)
{
    if (range->parameters == PARAMETERS_OTHER)
        return 0;
    if (span_is(range->type, "*"))
        return span_is(range->subtype, "*") ? 1 : 0;
    if (!span_is(range->type, media->type))
        return 0;
    if (span_is(range->subtype, "*"))
        return 2;
    if (!span_is(range->subtype, media->subtype))
        return 0;
    return range->parameters == PARAMETERS_UTF8 ? 4 : 3;
}

/* Gives each media type the quality of the most specific range that matches it, the higher one
 * where two are as specific. */
static void weigh(const struct media_range *range, int specificities[], int qualities[])
{
    for (int i = 0; i < MEDIA_TYPES; i++) {
        const int specific = specificity(range, &media_types[i]);
        if (specific == 0 || specific < specificities[i])
            continue;
        if (specific > specificities[i] || range->quality > qualities[i])
            qualities[i] = range->quality;
        specificities[i] = specific;
    }
}

static void weigh_all(const char *accept, int qualities[])
{
    int specificities[MEDIA_TYPES] = {0};
    bool any = false;
    memset(qualities, 0, MEDIA_TYPES * sizeof(*qualities));
    for (const char *cursor = accept ? accept : ""; *cursor;) {
        struct media_range range;
        skip_space(&cursor);
        if (take(&cursor, ','))
            continue;
        if (take_range(&cursor, &range)) {
            weigh(&range, specificities, qualities);
            any = true;
        } else {
            cursor += strcspn(cursor, ",");
        }
    }
    for (int i = 0; !any && i < MEDIA_TYPES; i++)
        qualities[i] = QUALITY_ONE;
}

static enum format highest(const int qualities[], unsigned formats)
{
    enum format best = FORMAT_NONE;
    for (enum format format = 0; format < FORMATS; format++)
        if (formats & 1U << format &&
            qualities[format] > (best == FORMAT_NONE ? 0 : qualities[best]))
            best = format;
    return best;
}

enum format format_negotiate(const char *accept, unsigned formats)
{
    int qualities[MEDIA_TYPES];
    weigh_all(accept, qualities);
    return highest(qualities, formats);
}

enum format format_negotiate_problem(const char *accept)
{
    int qualities[MEDIA_TYPES];
    weigh_all(accept, qualities);
    if (qualities[MEDIA_PROBLEM] > qualities[FORMAT_JSON])
        qualities[FORMAT_JSON] = qualities[MEDIA_PROBLEM];
    const enum format format = highest(qualities, ~0U);
    return format == FORMAT_NONE ? FORMAT_TEXT : format;
}
