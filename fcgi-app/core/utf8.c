#include "utf8.h"

#include <stdint.h>

/* What follows a leading byte that is not ASCII, RFC 3629 section 4: the narrower bounds of the
 * first continuation byte are what rules out over-long forms, surrogates and everything beyond
 * U+10FFFF. */
static const struct lead {
    uint8_t first, last;   /* range of leading bytes */
    uint8_t continuations; /* bytes that follow */
    uint8_t low, high;     /* range of the first of them */
} leads[] = {
    {0xC2, 0xDF, 1, 0x80, 0xBF}, {0xE0, 0xE0, 2, 0xA0, 0xBF}, {0xE1, 0xEC, 2, 0x80, 0xBF},
    {0xED, 0xED, 2, 0x80, 0x9F}, {0xEE, 0xEF, 2, 0x80, 0xBF}, {0xF0, 0xF0, 3, 0x90, 0xBF},
    {0xF1, 0xF3, 3, 0x80, 0xBF}, {0xF4, 0xF4, 3, 0x80, 0x8F},
};

/* A NUL ends a sequence early, so nothing behind the string's end is read. */
static size_t sequence_length(const uint8_t *bytes)
{
    for (size_t i = 0; i < sizeof(leads) / sizeof(leads[0]); i++) {
        const struct lead *lead = &leads[i];
        if (bytes[0] < lead->first || bytes[0] > lead->last)
            continue;
        if (bytes[1] < lead->low || bytes[1] > lead->high)
            return 0;
        for (size_t k = 2; k <= lead->continuations; k++)
            if ((bytes[k] & 0xC0) != 0x80)
                return 0;
        return (size_t)lead->continuations + 1;
    }
    return 0;
}

size_t utf8_decode(const char *string, uint32_t *code_point)
{
    const uint8_t *bytes = (const uint8_t *)string;
    *code_point = bytes[0];
    if (bytes[0] < 0x80)
        return 1;
    const size_t length = sequence_length(bytes);
    *code_point &= 0x7FU >> length;
    for (size_t i = 1; i < length; i++)
        *code_point = *code_point << 6 | (bytes[i] & 0x3F);
    return length;
}

bool utf8_is_control(uint32_t code_point)
{
    return code_point < 0x20 || (code_point >= 0x7F && code_point < 0xA0);
}

bool utf8_is_directional(uint32_t code_point)
{
    return (code_point >= 0x202A && code_point <= 0x202E) ||
           (code_point >= 0x2066 && code_point <= 0x2069);
}

/* The Unicode Standard, section 23.7. HTML forbids them. */
static bool is_noncharacter(uint32_t code_point)
{
    return (code_point >= 0xFDD0 && code_point <= 0xFDEF) || (code_point & 0xFFFE) == 0xFFFE;
}

static enum utf8_fault fault_of(uint32_t code_point)
{
    if (utf8_is_control(code_point))
        return UTF8_CONTROL;
    if (utf8_is_directional(code_point))
        return UTF8_DIRECTIONAL;
    return is_noncharacter(code_point) ? UTF8_NONCHARACTER : UTF8_OK;
}

enum utf8_fault utf8_check(const char *string, size_t max_code_points)
{
    uint32_t code_point = ' ';
    for (size_t count = 0; *string; count++) {
        const bool is_plain = *string >= ' ' && *string <= '~'; /* what most text is made of */
        const size_t length = is_plain ? 1 : utf8_decode(string, &code_point);
        if (length == 0)
            return UTF8_MALFORMED;
        const enum utf8_fault fault = is_plain ? UTF8_OK : fault_of(code_point);
        if (fault != UTF8_OK)
            return fault;
        if (count == max_code_points)
            return UTF8_TOO_LONG;
        string += length;
    }
    return UTF8_OK;
}

static bool is_invisible(uint32_t code_point)
{
    static const struct range {
        uint32_t first, last;
    } ranges[] = {
        {0x0009, 0x000D}, {0x0020, 0x0020},   {0x0085, 0x0085},   {0x00A0, 0x00A0},
        {0x00AD, 0x00AD}, {0x034F, 0x034F},   {0x061C, 0x061C},   {0x115F, 0x1160},
        {0x1680, 0x1680}, {0x17B4, 0x17B5},   {0x180B, 0x180F},   {0x2000, 0x200F},
        {0x2028, 0x202F}, {0x205F, 0x206F},   {0x2800, 0x2800},   {0x3000, 0x3000},
        {0x3164, 0x3164}, {0xFE00, 0xFE0F},   {0xFEFF, 0xFEFF},   {0xFFA0, 0xFFA0},
        {0xFFF0, 0xFFFB}, {0x1BCA0, 0x1BCA3}, {0x1D173, 0x1D17A}, {0xE0000, 0xE0FFF},
    };
    size_t i = 0;
    while (i < sizeof(ranges) / sizeof(ranges[0]) && code_point > ranges[i].last)
        i++;
    return i < sizeof(ranges) / sizeof(ranges[0]) && code_point >= ranges[i].first;
}

bool utf8_is_blank(const char *string)
{
    uint32_t code_point;
    while (*string) {
        const size_t length = utf8_decode(string, &code_point);
        if (length == 0 || !is_invisible(code_point))
            return false;
        string += length;
    }
    return true;
}
