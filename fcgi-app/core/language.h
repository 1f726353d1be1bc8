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

/* Their tags, then NULL. */
extern const char *const language_tags[LANGUAGES + 1];

/* The language that has this tag, NULL where there is none. */
__attribute__((nonnull, warn_unused_result)) const struct language *
language_tagged(const char *tag);

/*
 * Proactive negotiation, RFC 9110 section 12.5.4: the language that lookup (RFC 4647 section 3.4)
 * finds for the range with the highest quality value, of equal ones for the first. accept_language
 * is the field's value or NULL; ranges that are ill-formed are passed over, and so is "*". Where
 * none is found it is the default, or the first one that is not refused by quality 0: to be greeted
 * in a foreign language is better than not at all.
 */
__attribute__((returns_nonnull, warn_unused_result)) const struct language *
language_negotiate(const char *accept_language);

#endif
