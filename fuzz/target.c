/* The request target: what is taken is UTF-8 and what a plain decoder makes of it. */
#include "property.h"

#include "core/target.h"
#include "core/utf8.h"

#include <ctype.h>
#include <stdbool.h>

/* Percent-decodes text with library functions only; for what target_parse has found well-formed. */
static void decode(char *text, bool plus_is_space)
{
    char *out = text;
    for (; *text; text++) {
        if (*text == '%' && isxdigit((unsigned char)text[1]) && isxdigit((unsigned char)text[2])) {
            const char digits[] = {text[1], text[2], '\0'};
            *out++ = (char)strtoul(digits, NULL, 16);
            text += 2;
        } else {
            *out++ = plus_is_space && *text == '+' ? ' ' : *text;
        }
    }
    *out = '\0';
}

static void check_parameters(char *query, const struct target *target)
{
    size_t count = 0;
    for (char *pair; (pair = strsep(&query, "&"));) {
        if (!*pair)
            continue;
        HOLDS(count < target->parameters.count);
        char *value = strchr(pair, '=');
        if (value)
            *value++ = '\0';
        decode(pair, true);
        if (value)
            decode(value, true);
        HOLDS(strcmp(target->parameters.list[count].name, pair) == 0);
        HOLDS(strcmp(target->parameters.list[count].value, value ? value : "") == 0);
        count++;
    }
    HOLDS(count == target->parameters.count);
}

/* The path of an absolute target begins behind the authority, which is not decoded. */
static char *path_in(char *target)
{
    char *authority = *target == '/' ? NULL : strstr(target, "://");
    char *path = authority ? strchr(authority + strlen("://"), '/') : target;
    return path ? path : target + strlen(target);
}

static void check_taken(char *raw, const struct target *target)
{
    char *query = raw;
    char *path = path_in(strsep(&query, "?"));
    HOLDS(*path == '/' || !*path);
    path += *path == '/';
    size_t count = 0;
    for (char *segment; (segment = strsep(&path, "/")); count++) {
        decode(segment, false);
        HOLDS(count >= SEGMENTS_MAX || strcmp(target->segments[count], segment) == 0);
    }
    HOLDS(target->segment_count == (count > SEGMENTS_MAX ? SEGMENTS_MAX + 1 : count));
    check_parameters(query, target);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *raw = string_of(data, size);
    static struct target target;
    struct fault fault;
    target_parse(raw, &target, &fault);
    enum format format = FORMAT_NONE;
    for (size_t i = 0; fault.status == 0 && i < target.segment_count && i < SEGMENTS_MAX; i++)
        HOLDS(utf8_check(target.segments[i], SIZE_MAX) == UTF8_OK);
    for (size_t i = 0; i < target.parameters.count; i++) {
        const struct parameter *parameter = &target.parameters.list[i];
        HOLDS(utf8_check(parameter->name, SIZE_MAX) == UTF8_OK);
        HOLDS(utf8_check(parameter->value, SIZE_MAX) == UTF8_OK);
        if (format == FORMAT_NONE && strcmp(parameter->name, "format") == 0)
            format = format_named(parameter->value);
    }
    HOLDS(fault.status == 0 || fault.status == 400 || fault.status == 414);
    HOLDS(fault.status == 0 || utf8_check(fault.detail, SIZE_MAX) == UTF8_OK);
    HOLDS(format == FORMAT_NONE || target_format(raw) == format);
    HOLDS(fault.status != 0 || target_format(raw) == format);
    if (fault.status == 0)
        check_taken(raw, &target);
    free(raw);
    return 0;
}
