/* The parameters of a request, wherever they stand, and what may be wrong with them. */
#ifndef PARAMETER_H
#define PARAMETER_H

#include "request.h"

#include <stdbool.h>
#include <stddef.h>

enum { PARAMETERS_MAX = 16 /* more than any route takes; the rest would only cost time */ };

/* What is wrong with a request: the status code it gets and a sentence for the client. */
struct fault {
    int status; /* 0: nothing */
    char detail[512];
};

/* Sets fault to status and a printf-formatted sentence, cut to what detail holds. */
__attribute__((nonnull, format(printf, 3, 4))) void fault_set(struct fault *fault, int status,
                                                              const char *format, ...);

enum place { IN_PATH, IN_QUERY, IN_FORM, IN_JSON };

/* The strings are well-formed UTF-8 without control, directional and noncharacters. */
struct parameter {
    const char *name, *value; /* value is "" where there is no '=' */
    enum place in;
};

struct parameters {
    struct parameter list[PARAMETERS_MAX]; /* in the order of query, path, and body */
    size_t count;
    char storage[BODY_KEPT_MAX + 1]; /* those of a body point into it */
};

/* Adds a parameter. 400 when there are PARAMETERS_MAX. */
__attribute__((nonnull)) void parameters_add(struct parameters *parameters,
                                             struct parameter parameter, struct fault *fault);

/*
 * Adds what pairs ("a=b&c=d", decoded where it stands) holds, where '+' and "%20" are a space, and
 * "%2B" is a '+', as HTML forms send them. Stops at the first fault: 400.
 */
__attribute__((nonnull(1, 4))) void parameters_split(struct parameters *parameters, char *pairs,
                                                     enum place in, struct fault *fault);

/* Adds what a form or a flat JSON object of strings in the request's body holds, as its
 * Content-Type says; nothing where it says neither. 400, or 500 when memory is short. */
__attribute__((nonnull)) void parameters_of_body(struct parameters *parameters,
                                                 const struct request *request,
                                                 struct fault *fault);

/* Percent-decodes text in place. NULL, or what is wrong with it: "is not valid UTF-8". */
__attribute__((nonnull)) const char *percent_decode(char *text, bool plus_is_space);

/* What a handler takes. All but name may be left out. */
struct rule {
    const char *name;
    bool required;
    size_t max_length;                       /* code points; 0: as many as fit a request */
    const char *const *choices;              /* the values that are allowed, then NULL */
    const char *(*check)(const char *value); /* NULL, or what is wrong: "is no number" */
};

struct context;
struct response;

/*
 * Reads the parameters of a request by rules: values[i] gets the value of rules[i], NULL where it
 * is absent; format, which the routes that have formats take in the query, is read already. false,
 * and response is an error that names the parameter, where one is unknown, missing, given twice,
 * blank, or not what its rule allows. The values live as long as the context.
 */
__attribute__((nonnull, warn_unused_result)) bool
parameters_read(const struct context *context, const struct rule *rules, size_t count,
                const char *values[], struct response *response);

#endif
