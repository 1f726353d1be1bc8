#include "target.h"

#include "utf8.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

void fault_set(struct fault *fault, int status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fault->status = status;
    vsnprintf(fault->detail, sizeof(fault->detail), format, arguments);
    va_end(arguments);
}

static int hexadecimal(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'A' && digit <= 'F')
        return digit - 'A' + 10;
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10;
    return -1;
}

/* Percent-decodes text in place. NULL, or what is wrong with it. */
static const char *decode(char *text, bool plus_is_space)
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

const char *parameter_quoted(const char *name)
{
    enum { QUOTED_MAX = 32 }; /* code points: no parameter that any route takes is longer */
    _Static_assert(QUOTED_MAX * 4 + 128 <= sizeof(((struct fault *)NULL)->detail), "and fits");
    return utf8_check(name, QUOTED_MAX) == UTF8_OK ? name : "(over-long name)";
}

/* Adds the parameter in pair ("name=value", writable) to target. */
static void add_parameter(struct target *target, char *pair, struct fault *fault)
{
    if (target->parameter_count == PARAMETERS_MAX) {
        fault_set(fault, 400, "The query has more than %d parameters.", PARAMETERS_MAX);
        return;
    }
    char *value = pair + strcspn(pair, "=");
    if (*value)
        *value++ = '\0';
    const char *wrong = decode(pair, true);
    if (wrong) {
        fault_set(fault, 400, "The name of query parameter %zu %s.", target->parameter_count + 1,
                  wrong);
        return;
    }
    wrong = decode(value, true);
    if (wrong) {
        fault_set(fault, 400, "The query parameter \"%s\" %s.", parameter_quoted(pair), wrong);
        return;
    }
    target->parameters[target->parameter_count++] = (struct parameter){pair, value};
}

/* Where the path begins: behind the scheme and authority of an absolute-form target. */
static const char *origin_form(const char *raw)
{
    for (int i = 0; i < 2; i++) {
        const char *scheme = i == 0 ? "http://" : "https://";
        if (strncasecmp(raw, scheme, strlen(scheme)) == 0) {
            const char *authority = raw + strlen(scheme);
            return authority + strcspn(authority, "/?");
        }
    }
    return raw;
}

void target_parse(const char *raw, struct target *target, struct fault *fault)
{
    fault->status = 0;
    target->path = "";
    target->parameter_count = 0;
    const size_t length = strlen(raw);
    if (length == 0) {
        fault_set(fault, 400, "The request has no target.");
        return;
    }
    if (length > TARGET_MAX) {
        fault_set(fault, 414, "The request target is longer than %d bytes.", TARGET_MAX);
        return;
    }
    memcpy(target->storage, raw, length + 1);
    char *path = target->storage + (origin_form(raw) - raw);
    char *query = path + strcspn(path, "?");
    if (*query)
        *query++ = '\0';
    if (*path && *path != '/')
        fault_set(fault, 400, "The request target does not begin with a slash.");
    for (char *pair; fault->status == 0 && (pair = strsep(&query, "&"));)
        if (*pair)
            add_parameter(target, pair, fault);
    const char *wrong = decode(path, false);
    if (wrong)
        fault_set(fault, 400, "The path %s.", wrong);
    target->path = *path ? path : "/"; /* RFC 9112 section 3.2.1: an empty path is sent as "/" */
}

static enum format format_in(char *pair)
{
    char *value = pair + strcspn(pair, "=");
    if (!*value)
        return FORMAT_NONE;
    *value++ = '\0';
    if (decode(pair, true) || strcmp(pair, "format") != 0 || decode(value, true))
        return FORMAT_NONE;
    return format_named(value);
}

enum format target_format(const char *raw)
{
    char pair[sizeof("format=text") * 3]; /* as long as it can get: percent-encoded throughout */
    enum format format = FORMAT_NONE;
    const char *query = raw + strcspn(raw, "?");
    while (*query && format == FORMAT_NONE) {
        query++;
        const size_t length = strcspn(query, "&");
        if (length < sizeof(pair) && (*query == 'f' || *query == '%')) {
            memcpy(pair, query, length);
            pair[length] = '\0';
            format = format_in(pair);
        }
        query += length;
    }
    return format;
}
