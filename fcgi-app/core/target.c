#include "target.h"

#include <string.h>
#include <strings.h>

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

/* path: writable, without its first slash. */
static void split_path(char *path, struct target *target, struct fault *fault)
{
    for (char *segment; (segment = strsep(&path, "/"));) {
        const char *wrong = percent_decode(segment, false);
        if (wrong)
            fault_set(fault, 400, "The path %s.", wrong);
        if (target->segment_count < SEGMENTS_MAX)
            target->segments[target->segment_count] = segment;
        if (target->segment_count <= SEGMENTS_MAX)
            target->segment_count++;
    }
}

void target_parse(const char *raw, struct target *target, struct fault *fault)
{
    fault->status = 0;
    target->segment_count = 0;
    target->parameters.count = 0;
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
    parameters_split(&target->parameters, query, IN_QUERY, fault);
    split_path(*path ? path + 1 : path, target,
               fault); /* RFC 9112 section 3.2.1: "" stands for / */
}

static enum format format_in(char *pair)
{
    char *value = pair + strcspn(pair, "=");
    if (!*value)
        return FORMAT_NONE;
    *value++ = '\0';
    if (percent_decode(pair, true) || strcmp(pair, "format") != 0 || percent_decode(value, true))
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
