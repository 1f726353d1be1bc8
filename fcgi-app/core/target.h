/* The request target, taken apart and percent-decoded once. RFC 3986, RFC 9112 section 3.2. */
#ifndef TARGET_H
#define TARGET_H

#include "format.h"

#include <stddef.h>

enum {
    TARGET_MAX = 8192,  /* bytes; nginx's limit for a request line is the same */
    PARAMETERS_MAX = 16 /* more than any route takes; the rest would only cost time */
};

struct parameter {
    const char *name, *value; /* value is "" where there is no '=' */
};

struct target {
    const char *path;
    struct parameter parameters[PARAMETERS_MAX]; /* in the order of the query */
    size_t parameter_count;
    char storage[TARGET_MAX + 1]; /* path and parameters point into it */
};

/* What is wrong with a request: the status code it gets and a sentence for the client. */
struct fault {
    int status; /* 0: nothing */
    char detail[512];
};

/*
 * Takes raw (REQUEST_URI: origin-form or absolute-form) apart. In the query '+' stands for a
 * space, as HTML forms send it. Everything in target is well-formed UTF-8 without control
 * characters, noncharacters and directional characters. When that cannot be had, fault says why
 * (400, or 414 for too long a target) and target holds the parameters found up to there.
 */
__attribute__((nonnull)) void target_parse(const char *raw, struct target *target,
                                           struct fault *fault);

/*
 * The format of the first well-formed parameter format=text, html or json in raw, FORMAT_NONE when
 * there is none. It is found however long and ill-formed the rest is, so that the form of an error
 * does not depend on what the error is.
 */
__attribute__((nonnull, warn_unused_result)) enum format target_format(const char *raw);

/* Sets fault to status and a printf-formatted sentence, cut to what detail holds. */
__attribute__((nonnull, format(printf, 3, 4))) void fault_set(struct fault *fault, int status,
                                                              const char *format, ...);

/* name where it is short enough to be quoted in a fault, else words that stand for it. */
__attribute__((nonnull, returns_nonnull)) const char *parameter_quoted(const char *name);

#endif
