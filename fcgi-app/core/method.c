#include "method.h"

#include "token.h"

#include <stddef.h>
#include <string.h>

const char *method_known(const char *method)
{
    static const char *const known[] = {"GET",    "HEAD",  "OPTIONS", "POST", "PUT",
                                        "DELETE", "PATCH", "CONNECT", "TRACE"};
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (strcmp(method, known[i]) == 0)
            return known[i];
    return NULL;
}

bool method_is_well_formed(const char *method)
{
    const char *end = method;
    while (is_token_character(*end))
        end++;
    return end > method && !*end;
}
