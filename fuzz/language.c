/* Accept-Language: spelling that means nothing changes nothing, and the first of equals wins. */
#include "property.h"

#include "core/language.h"

#include <ctype.h>

static const struct language *negotiate(const char *format, const char *field)
{
    const size_t size = strlen(field) + 64;
    char *whole = malloc(size);
    HOLDS(whole);
    snprintf(whole, size, format, field);
    const struct language *language = language_negotiate(whole);
    free(whole);
    return language;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *field = string_of(data, size);
    const struct language *language = language_negotiate(field);
    HOLDS(language >= languages && language < languages + LANGUAGES);
    HOLDS(negotiate(" , %s,\t,", field) == language);
    HOLDS(negotiate("xx-de, %s, yy;q=0.5, *", field) == language);
    /* It wins, unless the rest refuses it. */
    HOLDS(negotiate("he-IL;q=1.0, %s", field) == language_tagged("he") || strstr(field, "0"));
    HOLDS(negotiate("%s, he;q=0", field) != language_tagged("he"));
    for (char *cursor = field; *cursor; cursor++)
        *cursor = (char)toupper((unsigned char)*cursor);
    HOLDS(language_negotiate(field) == language);
    free(field);
    return 0;
}
