/* Tokens: methods, names of media types and of parameters. */
#ifndef TOKEN_H
#define TOKEN_H

#include <stdbool.h>
#include <string.h>

/* tchar, RFC 9110 section 5.6.2. In the header, since Accept is read with it for each request. */
static inline bool is_token_character(char character)
{
    return (character >= 'a' && character <= 'z') || (character >= 'A' && character <= 'Z') ||
           (character >= '0' && character <= '9') ||
           (character && strchr("!#$%&'*+-.^_`|~", character));
}

static inline bool is_token(const char *string)
{
    const char *end = string;
    while (is_token_character(*end))
        end++;
    return end > string && !*end;
}

#endif
