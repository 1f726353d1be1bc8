/* Strong entity tags and If-None-Match, RFC 9110 sections 8.8.3 and 13.1.2. */
#ifndef ENTITY_TAG_H
#define ENTITY_TAG_H

#include <stdbool.h>
#include <stdint.h>

enum { ENTITY_TAG_SIZE = 19 }; /* two quotes, 16 hexadecimal digits, NUL */

/* The tag of a representation: FNV-1a (64 bits) over its media type and its body. A change of
 * either changes the tag, and no two representations of one resource need to fear a collision:
 * nobody but the operator chooses what they hold. */
__attribute__((nonnull)) uint64_t entity_tag_of(const char *content_type, const char *body);

/* Writes tag as it stands in an ETag field, NUL-terminated. */
__attribute__((nonnull)) void entity_tag_print(uint64_t tag, char printed[ENTITY_TAG_SIZE]);

/* Whether If-None-Match lists tag (weak comparison) or is "*". NULL lists nothing. */
__attribute__((warn_unused_result)) bool entity_tag_listed(const char *if_none_match, uint64_t tag);

#endif
