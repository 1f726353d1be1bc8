/* Accept: spelling that means nothing changes nothing. */
#include "property.h"

#include "core/format.h"

#include <ctype.h>

static void check_same(const char *accept, const char *other)
{
    HOLDS(format_negotiate(accept, ~0U) == format_negotiate(other, ~0U));
    HOLDS(format_negotiate_problem(accept) == format_negotiate_problem(other));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *accept = string_of(data, size);
    const enum format format = format_negotiate(accept, ~0U);
    HOLDS(format <= FORMAT_NONE && format_negotiate_problem(accept) < FORMAT_NONE);
    HOLDS(format_named(accept) <= FORMAT_NONE);
    for (unsigned formats = 0; formats < 1U << FORMATS; formats++) {
        const enum format chosen = format_negotiate(accept, formats);
        HOLDS(chosen == FORMAT_NONE || formats & 1U << chosen);
        HOLDS(format == FORMAT_NONE || !(formats & 1U << format) || chosen == format);
    }
    HOLDS(!media_type_is(accept, "text/html") || !media_type_is(accept, "text/plain"));
    if (!strchr(accept, '"')) { /* within quotes, a comma and a space mean themselves */
        char *other = malloc(2 * size + sizeof(" , ,,"));
        HOLDS(other);
        snprintf(other, 2 * size + sizeof(" , ,,"), " , %s,,%s", accept, accept);
        check_same(accept, other);
        free(other);
    }
    char *lower = string_of(data, size);
    for (char *cursor = lower; *cursor; cursor++)
        *cursor = (char)tolower((unsigned char)*cursor);
    check_same(accept, lower);
    free(lower);
    free(accept);
    return 0;
}
