#include "utf8.h"

#include <stdint.h>

/* What follows a leading byte, RFC 3629 section 4: the narrower bounds of the first continuation
 * byte are what rules out over-long forms, surrogates and everything beyond U+10FFFF. */
static const struct lead {
    uint8_t first, last;   /* range of leading bytes */
    uint8_t continuations; /* bytes that follow */
    uint8_t low, high;     /* range of the first of them */
} leads[] = {
    {0x00, 0x7F, 0, 0x00, 0x00}, {0xC2, 0xDF, 1, 0x80, 0xBF}, {0xE0, 0xE0, 2, 0xA0, 0xBF},
    {0xE1, 0xEC, 2, 0x80, 0xBF}, {0xED, 0xED, 2, 0x80, 0x9F}, {0xEE, 0xEF, 2, 0x80, 0xBF},
    {0xF0, 0xF0, 3, 0x90, 0xBF}, {0xF1, 0xF3, 3, 0x80, 0xBF}, {0xF4, 0xF4, 3, 0x80, 0x8F},
};

/* Bytes that the code point at bytes takes, 1 to 4; 0 when it is malformed. A NUL ends it early,
 * so nothing behind the string's end is read. */
static size_t sequence_length(const uint8_t *bytes)
{
    for (size_t i = 0; i < sizeof(leads) / sizeof(leads[0]); i++) {
        const struct lead *lead = &leads[i];
        if (bytes[0] < lead->first || bytes[0] > lead->last)
            continue;
        if (lead->continuations > 0 && (bytes[1] < lead->low || bytes[1] > lead->high))
            return 0;
        for (size_t k = 2; k <= lead->continuations; k++)
            if ((bytes[k] & 0xC0) != 0x80)
                return 0;
        return (size_t)lead->continuations + 1;
    }
    return 0;
}

static int is_control(const uint8_t *bytes)
{
    return bytes[0] < 0x20 || bytes[0] == 0x7F || (bytes[0] == 0xC2 && bytes[1] < 0xA0);
}

/* The Unicode Standard, section 23.7. HTML forbids them. */
static int is_noncharacter(const uint8_t *bytes, size_t length)
{
    if (length == 3 && bytes[0] == 0xEF && bytes[1] == 0xB7)
        return bytes[2] >= 0x90 && bytes[2] <= 0xAF;
    return length >= 3 && bytes[length - 1] >= 0xBE && bytes[length - 2] == 0xBF &&
           (bytes[length - 3] & 0x0F) == 0x0F;
}

enum utf8_fault utf8_check(const char *string, size_t max_code_points)
{
    const uint8_t *bytes = (const uint8_t *)string;
    for (size_t count = 0; *bytes; count++) {
        const size_t length = sequence_length(bytes);
        if (length == 0)
            return UTF8_MALFORMED;
        if (is_control(bytes))
            return UTF8_CONTROL;
        if (is_noncharacter(bytes, length))
            return UTF8_NONCHARACTER;
        if (count == max_code_points)
            return UTF8_TOO_LONG;
        bytes += length;
    }
    return UTF8_OK;
}
