/* The request target, taken apart and percent-decoded once. RFC 3986, RFC 9112 section 3.2. */
#ifndef TARGET_H
#define TARGET_H

#include "format.h"
#include "parameter.h"

#include <stddef.h>

enum {
    TARGET_MAX = 8192, /* bytes; nginx's limit for a request line is the same */
    SEGMENTS_MAX = 8,  /* of a path; one with more has no route */
    NAMED_MAX = 32     /* bytes of the name of a parameter in a path */
};

struct target {
    const char
        *segments[SEGMENTS_MAX]; /* of the path, decoded each: "%2F" is none of its slashes */
    size_t segment_count;        /* SEGMENTS_MAX + 1 where there are more */
    struct parameters parameters;
    char named[NAMED_MAX + 1];    /* the name of the parameter in the path, see route_to */
    char storage[TARGET_MAX + 1]; /* path and query point into it */
};

/*
 * Takes raw (REQUEST_URI: origin-form or absolute-form) apart: path and query. Everything in target
 * is well-formed UTF-8 without control characters, noncharacters and directional characters. When
 * that cannot be had, fault says why (400, or 414 for too long a target) and target holds the
 * parameters found up to there.
 */
__attribute__((nonnull)) void target_parse(const char *raw, struct target *target,
                                           struct fault *fault);

/*
 * The format of the first well-formed parameter format=text, html or json in raw, FORMAT_NONE when
 * there is none. It is found however long and ill-formed the rest is, so that the form of an error
 * does not depend on what the error is.
 */
__attribute__((nonnull, warn_unused_result)) enum format target_format(const char *raw);

#endif
