/* Strong entity tags and the lists of If-Match and If-None-Match, RFC 9110 sections 8.8.3 and 13.1.
 */
#ifndef ENTITY_TAG_H
#define ENTITY_TAG_H

#include "text.h"

#include <stdbool.h>

enum { ENTITY_TAG_SIZE = 19 }; /* two quotes, 16 hexadecimal digits, NUL */

/*
 * Writes the tag of a representation, as it stands in an ETag field, NUL-terminated: a hash
 * of 64 bits (hash.h) of its media type and its body. A change of either changes the tag, and no
 * two representations of one resource need to fear a collision: nobody but the operator chooses
 * what they hold.
 */
__attribute__((nonnull)) void entity_tag_of(const char *content_type, const struct text *body,
                                            char tag[ENTITY_TAG_SIZE]);

/* RFC 9110 section 8.8.3.2: weak tags equal none (If-Match), or may equal (If-None-Match). */
enum comparison { COMPARE_STRONGLY, COMPARE_WEAKLY };

/*
 * Whether list, the value of If-Match or If-None-Match, is "*" or holds tag, which is "" where the
 * representation has none. A list that is not well-formed from end to end holds nothing: it then
 * neither saves a client the body nor lets it go on as if nothing had changed.
 */
__attribute__((nonnull, warn_unused_result)) bool
entity_tag_listed(const char *list, const char *tag, enum comparison comparison);

#endif
