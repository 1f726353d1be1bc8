/* Text built up in a caller's buffer of fixed size. */
#ifndef TEXT_H
#define TEXT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct text {
    char *bytes;     /* always NUL-terminated */
    size_t size;     /* bytes that the buffer holds, the NUL included */
    size_t length;   /* bytes used, without the NUL */
    bool overflowed; /* something did not fit: the text is incomplete and must not be used */
};

/* An empty text in buffer, which stays the caller's and must outlive the text. */
__attribute__((nonnull)) struct text text_in(char *buffer, size_t size);

/* Appends string as it is. */
__attribute__((nonnull)) void text_add(struct text *text, const char *string);

/* Appends length bytes, which may be any. */
__attribute__((nonnull)) void text_add_bytes(struct text *text, const char *bytes, size_t length);

/* Appends words, of which the last is NULL, as "a, b and c", where last is " and ". */
__attribute__((nonnull)) void text_add_list(struct text *text, const char *const words[],
                                            const char *last);

/* Appends number in decimal. */
__attribute__((nonnull)) void text_add_number(struct text *text, size_t number);

/* Appends string, escaped for use in HTML element content and quoted attribute values. */
__attribute__((nonnull)) void text_add_html(struct text *text, const char *string);

/*
 * Appends string so that a line of a log stays one line and a terminal stays unharmed: control
 * characters and what turns the direction of text become \uXXXX, bytes that are no UTF-8 \xXX. For
 * ESCAPE_JSON it can stand in a JSON string. Where text would get longer than length, "…" stands
 * for the rest.
 */
enum escape { ESCAPE_TEXT, ESCAPE_JSON };
__attribute__((nonnull)) void text_add_escaped(struct text *text, const char *string,
                                               enum escape escape, size_t length);

/*
 * Returns object with one string more, or as it is where value is NULL. NULL, and object is
 * released, when memory is short or object is NULL. json_pack's "s*" would leave the string out
 * then.
 */
__attribute__((nonnull(2), warn_unused_result)) json_t *json_with(json_t *object, const char *name,
                                                                  const char *value);

/*
 * Appends value, of any type, as one line of JSON (RFC 8259) and releases it. NULL, which is what
 * jansson returns when memory is short, counts as an overflow.
 */
__attribute__((nonnull(1))) void text_add_json(struct text *text, json_t *value);

#endif
