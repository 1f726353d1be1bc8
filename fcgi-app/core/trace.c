#include "trace.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define LOWER_HEXADECIMAL "0123456789abcdef"

enum { /* where the parts of "00-TRACE-SPAN-FLAGS" begin, and its length */
       TRACE_AT = 3,
       SPAN_AT = TRACE_AT + TRACE_DIGITS + 1,
       FLAGS_AT = SPAN_AT + SPAN_DIGITS + 1,
       TRACEPARENT_LENGTH = FLAGS_AT + 2
};

static bool has_digits(const char *string, size_t count)
{
    return strspn(string, LOWER_HEXADECIMAL) == count;
}

/* An identifier of nothing but zeros is invalid. */
static bool is_identifier(const char *string, size_t digits)
{
    return has_digits(string, digits) && strspn(string, "0") < digits;
}

/* A later version may have more behind another '-'; version ff is forbidden. */
static bool is_traceparent(const char *value)
{
    if (!has_digits(value, 2) || strncmp(value, "ff", 2) == 0 || value[2] != '-')
        return false;
    if (!is_identifier(value + TRACE_AT, TRACE_DIGITS) || value[SPAN_AT - 1] != '-')
        return false;
    if (!is_identifier(value + SPAN_AT, SPAN_DIGITS) || value[FLAGS_AT - 1] != '-')
        return false;
    if (!has_digits(value + FLAGS_AT, 2))
        return false;
    const char end = value[TRACEPARENT_LENGTH];
    return end == '\0' || (end == '-' && strncmp(value, "00", 2) != 0);
}

static void read_traceparent(const char *value, struct trace *trace)
{
    if (!is_traceparent(value))
        return;
    memcpy(trace->id, value + TRACE_AT, TRACE_DIGITS);
    memcpy(trace->span, value + SPAN_AT, SPAN_DIGITS);
    trace->sampled = strtoul(value + FLAGS_AT, NULL, 16) & 1;
}

static void print_span(uint64_t span, char *digits)
{
    for (int i = SPAN_DIGITS - 1; i >= 0; i--, span >>= 4)
        digits[i] = LOWER_HEXADECIMAL[span & 0xF];
}

/* The decimal number of 64 bits at the cursor, which is set behind it; 0 when there is none. */
static uint64_t take_number(const char **cursor)
{
    uint64_t number = 0;
    for (; **cursor >= '0' && **cursor <= '9'; (*cursor)++) {
        const uint64_t digit = (uint64_t)(**cursor - '0');
        if (number > (UINT64_MAX - digit) / 10)
            return 0;
        number = number * 10 + digit;
    }
    return number;
}

static void read_cloud_trace_context(const char *value, struct trace *trace)
{
    if (!is_identifier(value, TRACE_DIGITS))
        return;
    const char *cursor = value + TRACE_DIGITS;
    uint64_t span = 0;
    if (*cursor == '/') {
        cursor++;
        span = take_number(&cursor);
        if (span == 0)
            return;
    }
    const bool sampled = strcmp(cursor, ";o=1") == 0;
    if (*cursor && !sampled && strcmp(cursor, ";o=0") != 0)
        return;
    memcpy(trace->id, value, TRACE_DIGITS);
    if (span > 0)
        print_span(span, trace->span);
    trace->sampled = sampled;
}

struct trace trace_of(const struct request *request)
{
    struct trace trace = {.id = ""};
    if (request->traceparent)
        read_traceparent(request->traceparent, &trace);
    if (!*trace.id && request->cloud_trace_context)
        read_cloud_trace_context(request->cloud_trace_context, &trace);
    return trace;
}

const char *request_id_of(const struct request *request)
{
    const char *id = request->request_id ? request->request_id : "";
    const size_t length = strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                     "0123456789._-");
    return !id[length] && length >= REQUEST_ID_MIN && length <= REQUEST_ID_MAX ? id : NULL;
}
