/* The languages that the service greets in, and which of them a client wants. */
#ifndef LANGUAGE_H
#define LANGUAGE_H

struct language {
    const char *tag;       /* BCP 47 */
    const char *direction; /* of its script: ltr or rtl */
    const char *endonym;   /* what its speakers call it */
    struct frame {
        const char *before, *after;
    } by_name, to_all;  /* what stands around a name, and around world */
    const char *world;  /* who is greeted without a name */
    const char *label;  /* the page's words: of the field for a name, */
    const char *button; /* of the button to be greeted by it, */
    const char *version, *revision, *region;
};

enum {
#define LANGUAGE(...) +1
    LANGUAGES = 0
#include "../languages.def"
#undef LANGUAGE
};

/* The first is the default. */
extern const struct language languages[LANGUAGES];

#endif
