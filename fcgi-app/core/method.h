/* Request methods, RFC 9110 section 9. */
#ifndef METHOD_H
#define METHOD_H

#include <stdbool.h>

/*
 * The name of a method that is known here, though not allowed everywhere: those of RFC 9110, and
 * PATCH (RFC 5789). NULL for others, in upper and lower case as they are. The names are few and
 * not the client's, so that a metric may be counted by them.
 */
__attribute__((nonnull, warn_unused_result)) const char *method_known(const char *method);

/* Whether it is a token, as every method is. */
__attribute__((nonnull, warn_unused_result)) bool method_is_well_formed(const char *method);

#endif
