#include "entity_tag.h"

#include <string.h>

static uint64_t fnv_1a(uint64_t hash, const char *string)
{
    for (; *string; string++)
        hash = (hash ^ (unsigned char)*string) * UINT64_C(0x100000001b3);
    return hash;
}

uint64_t entity_tag_of(const char *content_type, const char *body)
{
    return fnv_1a(fnv_1a(UINT64_C(0xcbf29ce484222325), content_type), body);
}

void entity_tag_print(uint64_t tag, char printed[ENTITY_TAG_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    memcpy(printed, "\"0123456789abcdef\"", ENTITY_TAG_SIZE);
    for (int i = ENTITY_TAG_SIZE - 3; i > 0; i--, tag >>= 4)
        printed[i] = digits[tag & 0xF];
}

/* The list is walked element by element, since an opaque tag may itself contain a comma. */
bool entity_tag_listed(const char *if_none_match, uint64_t tag)
{
    if (!if_none_match)
        return false;
    char ours[ENTITY_TAG_SIZE];
    entity_tag_print(tag, ours);
    const char *cursor = if_none_match + strspn(if_none_match, " \t");
    if (cursor[0] == '*' && cursor[1 + strspn(cursor + 1, " \t")] == '\0')
        return true;
    for (;;) {
        cursor += strspn(cursor, " \t,");
        if (strncmp(cursor, "W/", 2) == 0)
            cursor += 2;
        if (*cursor != '"')
            return false;
        const size_t length = 1 + strcspn(cursor + 1, "\"");
        if (cursor[length] != '"')
            return false;
        if (length + 2 == ENTITY_TAG_SIZE && strncmp(cursor, ours, length + 1) == 0)
            return true;
        cursor += length + 1;
    }
}
