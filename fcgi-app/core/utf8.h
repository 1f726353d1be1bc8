/* Well-formed UTF-8, RFC 3629. */
#ifndef UTF8_H
#define UTF8_H

#include <stddef.h>

enum utf8_fault {
    UTF8_OK,
    UTF8_MALFORMED,
    UTF8_CONTROL,      /* U+0000-U+001F or U+007F-U+009F */
    UTF8_NONCHARACTER, /* U+FDD0-U+FDEF, or U+FFFE, U+FFFF, U+1FFFE, ...: not for interchange */
    UTF8_TOO_LONG,     /* more than the code points allowed */
};

/*
 * Checks a NUL-terminated string: well-formed UTF-8 without control characters and
 * noncharacters, at most max_code_points long. Returns the first fault found; a string that is too
 * long may hold others.
 */
__attribute__((nonnull, warn_unused_result)) enum utf8_fault utf8_check(const char *string,
                                                                        size_t max_code_points);

#endif
