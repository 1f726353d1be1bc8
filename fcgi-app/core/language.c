#include "language.h"

#include "format.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

const struct language languages[LANGUAGES] = {
#define LANGUAGE(...) {__VA_ARGS__},
#include "../languages.def"
#undef LANGUAGE
};

const char *const language_tags[LANGUAGES + 1] = {
#define LANGUAGE(tag, ...) (tag),
#include "../languages.def"
#undef LANGUAGE
};

_Static_assert(LANGUAGES <= 32, "a bit for each");

const struct language *language_tagged(const char *tag)
{
    const struct language *language = languages;
    while (language < languages + LANGUAGES && strcmp(language->tag, tag) != 0)
        language++;
    return language < languages + LANGUAGES ? language : NULL;
}

struct range {
    const char *tag;
    size_t length;
    int quality;
};

static bool is_letter(char character)
{
    return (character >= 'a' && character <= 'z') || (character >= 'A' && character <= 'Z');
}

/* Bytes of the language-range at string, RFC 4647 section 2.1; 0 when there is none. */
static size_t range_length(const char *string)
{
    size_t length = 0, subtag = 0;
    if (*string == '*')
        return 1;
    for (bool first = true;; first = false, length++) {
        for (subtag = 0; is_letter(string[length]) ||
                         (!first && string[length] >= '0' && string[length] <= '9');
             subtag++)
            length++;
        if (subtag == 0 || subtag > 8)
            return 0;
        if (string[length] != '-')
            return length;
    }
}

/* The next element of the list at the cursor, which is set behind it; false when it is no range
 * with a weight. */
static bool next_range(const char **cursor, struct range *range)
{
    const char *element = *cursor + strspn(*cursor, " \t");
    const char *end = element + strcspn(element, ",");
    *cursor = *end ? end + 1 : end;
    while (end > element && strchr(" \t", end[-1]))
        end--;
    *range = (struct range){element, range_length(element), QUALITY_ONE};
    const char *weight = element + range->length;
    weight += strspn(weight, " \t");
    if (range->length == 0 || weight >= end)
        return range->length > 0;
    if (*weight++ != ';')
        return false;
    weight += strspn(weight, " \t");
    return strncasecmp(weight, "q=", 2) == 0 &&
           quality_read(weight + 2, (size_t)(end - weight) - 2, &range->quality);
}

static size_t exact(const char *tag, size_t length)
{
    size_t i = 0;
    while (i < LANGUAGES &&
           (strlen(languages[i].tag) != length || strncasecmp(languages[i].tag, tag, length) != 0))
        i++;
    return i;
}

/* RFC 4647 section 3.4: without its last subtag, and one of a single letter in front of that, until
 * a language is found. LANGUAGES when there is none. */
static size_t lookup(const struct range *range, unsigned refused)
{
    size_t length = range->length;
    while (length > 0) {
        const size_t i = exact(range->tag, length);
        if (i < LANGUAGES && !(refused & 1U << i))
            return i;
        while (length > 0 && range->tag[--length] != '-')
            ;
        if (length >= 2 && range->tag[length - 2] == '-')
            length -= 2;
    }
    return LANGUAGES;
}

/* The languages with quality 0, a bit for each. */
static unsigned refused_by(const char *field)
{
    unsigned refused = 0;
    for (struct range range; *field;) {
        const bool is_range = next_range(&field, &range);
        const size_t i =
            is_range && range.quality == 0 ? exact(range.tag, range.length) : LANGUAGES;
        if (i < LANGUAGES)
            refused |= 1U << i;
    }
    return refused;
}

const struct language *language_negotiate(const char *accept_language)
{
    const char *field = accept_language ? accept_language : "";
    const unsigned refused = refused_by(field);
    size_t best = 0;
    int quality = 0;
    while (best < LANGUAGES - 1 && refused & 1U << best)
        best++;
    for (struct range range; *field;) {
        if (!next_range(&field, &range) || range.quality <= quality)
            continue;
        const size_t found = lookup(&range, refused);
        if (found == LANGUAGES)
            continue;
        best = found;
        quality = range.quality;
    }
    return &languages[best];
}
