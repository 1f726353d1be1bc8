/* What every fuzz target needs: input as a string, and properties that end the process. */
#ifndef PROPERTY_H
#define PROPERTY_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HOLDS(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition);         \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* A copy of size bytes that ends where they do, so that the sanitizers see whoever reads on. A NUL
 * among them ends the string, as it does in every C string. To be freed. */
static inline char *string_of(const uint8_t *data, size_t size)
{
    char *string = malloc(size + 1);
    HOLDS(string);
    memcpy(string, data, size);
    string[size] = '\0';
    return string;
}

#endif
