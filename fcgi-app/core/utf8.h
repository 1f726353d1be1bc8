/* Well-formed UTF-8, RFC 3629. */
#ifndef UTF8_H
#define UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum utf8_fault {
    UTF8_OK,
    UTF8_MALFORMED,
    UTF8_CONTROL,      /* U+0000-U+001F or U+007F-U+009F */
    UTF8_DIRECTIONAL,  /* see utf8_is_directional */
    UTF8_NONCHARACTER, /* U+FDD0-U+FDEF, or U+FFFE, U+FFFF, U+1FFFE, ...: not for interchange */
    UTF8_TOO_LONG,     /* more than the code points allowed */
};

/* Decodes the code point at string, which must not be at its end. Returns its bytes, 1 to 4; 0 when
 * it is malformed. */
__attribute__((nonnull, warn_unused_result)) size_t utf8_decode(const char *string,
                                                                uint32_t *code_point);

/* Whether it is a control character: U+0000-U+001F or U+007F-U+009F. */
__attribute__((const)) bool utf8_is_control(uint32_t code_point);

/* Whether it embeds, overrides or isolates a direction of text, and so can turn around what stands
 * behind it: U+202A-U+202E and U+2066-U+2069 (UAX #9, section 2). */
__attribute__((const)) bool utf8_is_directional(uint32_t code_point);

/*
 * Checks a NUL-terminated string: well-formed UTF-8 without control,
 * directional and noncharacters, at most max_code_points long. Returns the first fault found; a
 * string that is too long may hold others.
 */
__attribute__((nonnull, warn_unused_result)) enum utf8_fault utf8_check(const char *string,
                                                                        size_t max_code_points);

/*
 * Whether a well-formed string shows nothing: it is empty, or all of it is white space, formatting
 * characters and fillers, as the Unicode Standard (15.0) has them: White_Space,
 * Default_Ignorable_Code_Point, the interlinear annotations, and the empty Braille pattern.
 */
__attribute__((nonnull, warn_unused_result)) bool utf8_is_blank(const char *string);

#endif
