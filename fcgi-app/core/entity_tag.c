#include "entity_tag.h"

#include "hash.h"

#include <string.h>

void entity_tag_of(const char *content_type, const struct text *body, char tag[ENTITY_TAG_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    uint64_t hash = hash_bytes(0, content_type, strlen(content_type));
    hash = hash_bytes(hash, body->bytes, body->length);
    memcpy(tag, "\"0123456789abcdef\"", ENTITY_TAG_SIZE);
    for (int i = ENTITY_TAG_SIZE - 3; i > 0; i--, hash >>= 4)
        tag[i] = digits[hash & 0xF];
}

/* etagc, RFC 9110 section 8.8.3 */
static bool is_tag_character(char character)
{
    const unsigned char byte = (unsigned char)character;
    return byte > ' ' && byte != '"' && byte != 0x7F;
}

/* Behind the entity tag at cursor, whose length, quotes included, is set; NULL when it is none. */
static const char *skip_tag(const char *cursor, size_t *length)
{
    const char *start = cursor;
    if (*cursor++ != '"')
        return NULL;
    while (is_tag_character(*cursor))
        cursor++;
    if (*cursor++ != '"')
        return NULL;
    *length = (size_t)(cursor - start);
    return cursor;
}

static bool is_asterisk(const char *list)
{
    list += strspn(list, " \t");
    return *list == '*' && list[1 + strspn(list + 1, " \t")] == '\0';
}

/* Walked element by element, since an opaque tag may itself contain a comma. Elements may be empty
 * (RFC 9110 section 5.6.1.2). */
bool entity_tag_listed(const char *list, const char *tag, enum comparison comparison)
{
    bool listed = is_asterisk(list);
    const char *cursor = listed ? "" : list + strspn(list, " \t,");
    while (*cursor) {
        size_t length;
        const bool weak = strncmp(cursor, "W/", 2) == 0;
        const char *start = cursor + (weak ? 2 : 0);
        const char *end = skip_tag(start, &length);
        if (!end)
            return false;
        if (strncmp(start, tag, length) == 0 && (!weak || comparison == COMPARE_WEAKLY))
            listed = true;
        cursor = end + strspn(end, " \t");
        if (*cursor && *cursor != ',')
            return false;
        cursor += strspn(cursor, " \t,");
    }
    return listed;
}
