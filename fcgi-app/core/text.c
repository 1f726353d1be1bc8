#include "text.h"

#include "utf8.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct text text_in(char *buffer, size_t size)
{
    buffer[0] = '\0';
    return (struct text){.bytes = buffer, .size = size};
}

void text_add_bytes(struct text *text, const char *bytes, size_t length)
{
    if (text->overflowed || length >= text->size - text->length) {
        text->overflowed = true;
        return;
    }
    memcpy(text->bytes + text->length, bytes, length);
    text->length += length;
    text->bytes[text->length] = '\0';
}

void text_add(struct text *text, const char *string)
{
    text_add_bytes(text, string, strlen(string));
}

void text_add_list(struct text *text, const char *const words[], const char *last)
{
    for (size_t i = 0; words[i]; i++) {
        text_add(text, i == 0 ? "" : words[i + 1] ? ", " : last);
        text_add(text, words[i]);
    }
}

void text_add_number(struct text *text, size_t number)
{
    char digits[24]; /* a 64-bit number has at most 20 */
    char *first = digits + sizeof(digits) - 1;
    *first = '\0';
    do
        *--first = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    text_add(text, first);
}

static const char *html_entity(char character)
{
    switch (character) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    default:
        return NULL;
    }
}

void text_add_html(struct text *text, const char *string)
{
    for (; *string; string++) {
        const char *entity = html_entity(*string);
        if (entity)
            text_add(text, entity);
        else
            text_add_bytes(text, string, 1);
    }
}

enum { ESCAPED_SIZE = sizeof("\\uXXXX") };

/* Bytes of the character at string; escaped is how it is written, "" for as it is. */
static size_t escape_one(const char *string, enum escape escape, char escaped[ESCAPED_SIZE])
{
    uint32_t code_point;
    const size_t length = utf8_decode(string, &code_point);
    const bool json = escape == ESCAPE_JSON;
    escaped[0] = '\0';
    if (length == 0)
        snprintf(escaped, ESCAPED_SIZE, json ? "\\\\x%02X" : "\\x%02X", (unsigned char)*string);
    else if (utf8_is_control(code_point) || utf8_is_directional(code_point))
        snprintf(escaped, ESCAPED_SIZE, "\\u%04X", (unsigned)code_point);
    else if (json && (code_point == '"' || code_point == '\\'))
        snprintf(escaped, ESCAPED_SIZE, "\\%c", *string);
    return length == 0 ? 1 : length;
}

void text_add_escaped(struct text *text, const char *string, enum escape escape, size_t length)
{
    static const char cut[] = "…";
    while (*string && !text->overflowed) {
        char escaped[ESCAPED_SIZE];
        const size_t taken = escape_one(string, escape, escaped);
        const size_t added = *escaped ? strlen(escaped) : taken;
        const size_t rest = string[taken] ? sizeof(cut) - 1 : 0;
        if (text->length + added + rest > length) {
            text_add(text, cut);
            return;
        }
        text_add_bytes(text, *escaped ? escaped : string, added);
        string += taken;
    }
}

json_t *json_with(json_t *object, const char *name, const char *value)
{
    if (!value || json_object_set_new(object, name, json_string(value)) == 0)
        return object;
    json_decref(object);
    return NULL;
}

void text_add_json(struct text *text, json_t *value)
{
    const size_t flags = JSON_COMPACT | JSON_ENCODE_ANY; /* a number or a string by itself, too */
    const size_t room = text->size - text->length;
    const size_t length = value ? json_dumpb(value, text->bytes + text->length, room, flags) : 0;
    json_decref(value);
    if (length == 0 || length >= room) {
        text->overflowed = true;
        text->bytes[text->length] = '\0';
        return;
    }
    text->length += length;
    text->bytes[text->length] = '\0';
    text_add(text, "\n");
}
