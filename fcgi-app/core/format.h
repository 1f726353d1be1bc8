/* The representations that the service has, and which of them a client wants. */
#ifndef FORMAT_H
#define FORMAT_H

#include <stdbool.h>
#include <stddef.h>

enum format { FORMAT_TEXT, FORMAT_HTML, FORMAT_JSON, FORMATS, FORMAT_NONE = FORMATS };

/* The format that ?format= calls by this name, FORMAT_NONE when there is none. */
__attribute__((nonnull, warn_unused_result)) enum format format_named(const char *name);

/* The names of the formats of which the bits are set (1 << FORMAT_TEXT), then NULL. */
__attribute__((nonnull)) void format_names(unsigned formats, const char *names[FORMATS + 1]);

/* Whether a Content-Type is this media type, whatever its parameters, but in no other charset than
 * UTF-8 (RFC 9110 section 8.3). */
__attribute__((nonnull, warn_unused_result)) bool media_type_is(const char *content_type,
                                                                const char *media_type);

enum { QUALITY_ONE = 1000 }; /* quality values are kept in thousandths */

/* Reads a qvalue of so many bytes, RFC 9110 section 12.4.2: 0 to 1 with at most three decimals.
 * false when it is none. */
__attribute__((nonnull, warn_unused_result)) bool quality_read(const char *value, size_t length,
                                                               int *quality);

/*
 * Proactive negotiation, RFC 9110 section 12.5.1: of the formats of which the bits are set the one
 * with the highest quality value, the
 * most specific media range deciding for each. Equal qualities go to text, then HTML, then JSON.
 * accept is the Accept field's value. NULL, an empty value and one without a single well-formed
 * media range accept everything; ill-formed ranges beside well-formed ones are passed over.
 * FORMAT_NONE when nothing is acceptable.
 */
__attribute__((warn_unused_result)) enum format format_negotiate(const char *accept,
                                                                 unsigned formats);

/*
 * The same for an error, whose JSON form is application/problem+json (RFC 9457) and is also
 * chosen for application/json. An error is better sent in an unwanted format than not at all:
 * FORMAT_TEXT when nothing is acceptable.
 */
__attribute__((warn_unused_result)) enum format format_negotiate_problem(const char *accept);

#endif
