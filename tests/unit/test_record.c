/* FastCGI records: FastCGI Specification 1.0, sections 3.3, 4 and 5. */
#include "cases.h"

#include "core/request.h"
#include "record.h"

#include <fastcgi.h>
#include <stdlib.h>

struct stream {
    uint8_t bytes[256 * 1024];
    size_t length;
};

/*
 * Records are written as a type (B, A, P, S: begin, abort, parameters, stdin; O, D, V, X: stdout,
 * data, get values, one that does not exist), a request id, and where they are not the usual ones
 * .content +padding rRole vVersion. "|" stands where a whole request or record is expected to end,
 * unless that is at the end: "B1 P1.70 P1 S1 | B1".
 */
struct scan {
    int line;
    const char *records;
    enum arrival expected;
};

static const char *name_of(enum arrival arrival)
{
    static const char *const names[] = {"partial", "request", "management", "ended", "invalid"};
    return names[arrival];
}

static uint8_t type_called(char letter)
{
    static const char letters[] = "BAPSODVX";
    static const uint8_t types[] = {
        FCGI_BEGIN_REQUEST, FCGI_ABORT_REQUEST, FCGI_PARAMS,     FCGI_STDIN,
        FCGI_STDOUT,        FCGI_DATA,          FCGI_GET_VALUES, 42};
    const char *found = strchr(letters, letter);
    assert_true(letter && found);
    return types[found - letters];
}

/* Content and padding are no zeros, so that a header looked for in the wrong place is not found. */
static void add_record(struct stream *stream, uint8_t type, const unsigned values[])
{
    const unsigned id = values[0], content = values['.'], padding = values['+'], role = values['r'];
    const uint8_t header[] = {(uint8_t)values['v'],    type,
                              (uint8_t)(id >> 8),      (uint8_t)id,
                              (uint8_t)(content >> 8), (uint8_t)content,
                              (uint8_t)padding,        0xAA /* reserved */};
    const uint8_t body[] = {(uint8_t)(role >> 8), (uint8_t)role};
    const size_t length = sizeof(header) + content + padding;
    uint8_t *bytes = stream->bytes + stream->length;
    assert_true(stream->length + length <= sizeof(stream->bytes));
    memset(bytes, 0xEE, length);
    memcpy(bytes, header, sizeof(header));
    if (type == FCGI_BEGIN_REQUEST && content >= sizeof(body))
        memcpy(bytes + sizeof(header), body, sizeof(body));
    stream->length += length;
}

/* The number behind the letter at *cursor, which then stands behind the number. */
static unsigned take_number(const char **cursor)
{
    char *end;
    const unsigned long number = strtoul(*cursor + 1, &end, 10);
    *cursor = end;
    return (unsigned)number;
}

/* Fills stream; returns the length up to the "|". */
static size_t encode(const char *records, struct stream *stream)
{
    size_t used = 0;
    stream->length = 0;
    for (; *records; records += strspn(records, " |")) {
        const uint8_t type = type_called(*records);
        unsigned values[UINT8_MAX + 1] = {['r'] = FCGI_RESPONDER, ['v'] = FCGI_VERSION_1};
        values['.'] = type == FCGI_BEGIN_REQUEST ? sizeof(FCGI_BeginRequestBody) : 0;
        values[0] = take_number(&records);
        while (*records && *records != ' ') {
            const unsigned char field = (unsigned char)*records;
            values[field] = take_number(&records);
        }
        add_record(stream, type, values);
        if (strncmp(records, " |", 2) == 0)
            used = stream->length;
    }
    return used ? used : stream->length;
}

/* Of another request than the one that has begun. */
static bool is_refusal(const struct incoming *incoming, enum arrival arrival)
{
    return arrival == ARRIVAL_ENDED && incoming->ended.status == FCGI_CANT_MPX_CONN;
}

/* Takes so many bytes at a time, also behind beginnings of other requests. Sets used to their sum.
 */
static enum arrival take(struct incoming *incoming, const uint8_t *bytes, size_t length,
                         size_t step, size_t *used)
{
    enum arrival arrival = ARRIVAL_PARTIAL;
    *used = 0;
    while ((arrival == ARRIVAL_PARTIAL || is_refusal(incoming, arrival)) && *used < length) {
        const size_t left = length - *used;
        size_t count = SIZE_MAX;
        arrival = incoming_take(incoming, bytes + *used, left < step ? left : step, &count);
        *used += count;
    }
    return arrival;
}

static void check(int line, const char *records, const struct stream *stream, size_t length,
                  enum arrival expected, size_t expected_used)
{
    char sent[128];
    snprintf(sent, sizeof(sent), "%zu bytes of %s", length, records);
    size_t used = SIZE_MAX;
    const uint8_t *bytes = memcpy(walled(line, length), stream->bytes, length);
    struct incoming incoming = {.stage = 0};
    const enum arrival got = take(&incoming, bytes, length, SIZE_MAX, &used);
    incoming_reset(&incoming);
    same_string(line, sent, name_of(expected), name_of(got));
    if (got == ARRIVAL_REQUEST || got == ARRIVAL_MANAGEMENT || got == ARRIVAL_ENDED)
        same_number(line, sent, expected_used, used);
}

static void check_all(const struct scan cases[], size_t count)
{
    static struct stream stream;
    for (size_t i = 0; i < count; i++) {
        const size_t used = encode(cases[i].records, &stream);
        check(cases[i].line, cases[i].records, &stream, stream.length, cases[i].expected, used);
    }
}

/* At every length: partial up to the "|", from there on whole, with the same length. */
static void check_growing(const struct scan cases[], size_t count)
{
    static struct stream stream;
    for (size_t i = 0; i < count; i++) {
        const size_t used = encode(cases[i].records, &stream);
        for (size_t length = 0; length <= stream.length; length++)
            check(cases[i].line, cases[i].records, &stream, length,
                  length < used ? ARRIVAL_PARTIAL : cases[i].expected, used);
    }
}

TEST(a_request_is_whole_once_its_last_byte_has_arrived)
{
    static const struct scan cases[] = {
        {__LINE__, "B1 P1 S1", ARRIVAL_REQUEST},
        {__LINE__, "B1 P1.70 P1 S1", ARRIVAL_REQUEST},
        {__LINE__, "B1 P1.5 P1.300 P1 S1.1 S1.260 S1", ARRIVAL_REQUEST},
        {__LINE__, "B1+8 P1.9+255 P1+1 S1.4+4 S1+7", ARRIVAL_REQUEST},
        {__LINE__, "B1 P1 S1+255", ARRIVAL_REQUEST},
        {__LINE__, "B65535 P65535.3 P65535 S65535", ARRIVAL_REQUEST},
        {__LINE__, "B256 P256.3 P256 S256.2 S256", ARRIVAL_REQUEST},
    };
    check_growing(TABLE(cases));
}

TEST(what_comes_behind_a_request_is_not_counted)
{
    static const struct scan cases[] = {
        {__LINE__, "B1 P1.70 P1 S1 | B1 P1.70 P1 S1", ARRIVAL_REQUEST},
        {__LINE__, "B1 P1.70 P1 S1 | B2 P2.70 P2 S2", ARRIVAL_REQUEST},
        {__LINE__, "B1 P1 S1+9 | B1+9 P1.9", ARRIVAL_REQUEST},
        {__LINE__, "B1 P1 S1.1 S1 | S1", ARRIVAL_REQUEST},
        {__LINE__, "B1 P1 S1 | V0.16", ARRIVAL_REQUEST},
        {__LINE__, "B1 P1 S1 | A1 B1v2", ARRIVAL_REQUEST},
    };
    check_growing(TABLE(cases));
}

TEST(content_may_be_65535_bytes_long)
{
    static const struct scan cases[] = {
        {__LINE__, "B1 P1.65535 P1 S1.65535 S1", ARRIVAL_REQUEST},
        {__LINE__, "B1 P1.256 P1 S1.256 S1", ARRIVAL_REQUEST}, /* a low byte of zero */
        {__LINE__, "B1 P1.65280+255 P1 S1", ARRIVAL_REQUEST},
        {__LINE__, "B1 P1.65535 P1 S1.65535", ARRIVAL_PARTIAL},
        {__LINE__, "B1 P1 S1.256", ARRIVAL_PARTIAL},
    };
    check_all(TABLE(cases));
}

TEST(another_request_on_the_connection_does_not_end_this_one)
{
    static const struct scan cases[] = {
        {__LINE__, "B1 P1.3 P1 S2", ARRIVAL_PARTIAL},
        {__LINE__, "B257 P257 S1", ARRIVAL_PARTIAL},
        {__LINE__, "B256 P256 S257", ARRIVAL_PARTIAL},
        {__LINE__, "B256 P256 S128", ARRIVAL_PARTIAL},
        {__LINE__, "B1 P1.3 B2 P2 S2 P1 S1", ARRIVAL_REQUEST},
        {__LINE__, "B1 P1.3 A2 P1 S1", ARRIVAL_REQUEST},
        {__LINE__, "B1 P1.3 P1 S2.9+3 D2.4 S1", ARRIVAL_REQUEST},
    };
    check_all(TABLE(cases));
}

TEST(what_no_web_server_sends_to_a_responder_is_invalid)
{
    static const struct scan cases[] = {
        {__LINE__, "B1 P1 B1", ARRIVAL_INVALID}, {__LINE__, "B1 O1", ARRIVAL_INVALID},
        {__LINE__, "B1 D1", ARRIVAL_INVALID},    {__LINE__, "B1 X1", ARRIVAL_INVALID},
        {__LINE__, "B1 S1", ARRIVAL_INVALID},    {__LINE__, "B1 P1 P1", ARRIVAL_INVALID},
    };
    check_all(TABLE(cases));
}

/* Section 3.3: a request id is active from FCGI_BEGIN_REQUEST to FCGI_END_REQUEST. */
TEST(records_of_requests_that_are_not_active_are_skipped)
{
    static const struct scan cases[] = {
        {__LINE__, "P1", ARRIVAL_PARTIAL},
        {__LINE__, "S1.9+3", ARRIVAL_PARTIAL},
        {__LINE__, "A1 A2.8 X1 D1.300 O3.9", ARRIVAL_PARTIAL},
        {__LINE__, "V1.129", ARRIVAL_PARTIAL},
        {__LINE__, "P1.8 S1 B1 P1 S1 | S1 A1", ARRIVAL_REQUEST},
        {__LINE__, "S1.65535+255 B2 P2.9 P2 S2", ARRIVAL_REQUEST},
        {__LINE__, "A1 V0", ARRIVAL_MANAGEMENT},
    };
    check_growing(TABLE(cases));
}

/* Section 5.4; whatever comes of it behind that is skipped. */
TEST(a_request_that_is_aborted_is_over)
{
    static const struct scan cases[] = {
        {__LINE__, "B1 A1", ARRIVAL_ENDED},
        {__LINE__, "B1 P1.9 A1+7 | P1 S1", ARRIVAL_ENDED},
        {__LINE__, "B1 P1.9 P1 A1.8 | S1", ARRIVAL_ENDED},
        {__LINE__, "B1 P1 S1.9 A1 | B1 P1 S1", ARRIVAL_ENDED},
    };
    check_growing(TABLE(cases));
}

TEST(management_records_may_come_within_a_request)
{
    static const struct scan cases[] = {
        {__LINE__, "B1 V0", ARRIVAL_MANAGEMENT},
        {__LINE__, "B1 P1.300 V0.128+9 | P1 S1", ARRIVAL_MANAGEMENT},
        {__LINE__, "B1 P1 S1.3 S0 | S1", ARRIVAL_MANAGEMENT},
        {__LINE__, "B1 P1 S1.9 B0", ARRIVAL_MANAGEMENT},
    };
    check_growing(TABLE(cases));
}

TEST(only_version_1_is_spoken)
{
    static const struct scan cases[] = {
        {__LINE__, "B1v0", ARRIVAL_INVALID},       {__LINE__, "B1v2 P1 S1", ARRIVAL_INVALID},
        {__LINE__, "V0v2", ARRIVAL_INVALID},       {__LINE__, "B1 P1v2", ARRIVAL_INVALID},
        {__LINE__, "B1 P1 S1v2", ARRIVAL_INVALID}, {__LINE__, "B1 P1 S2v0", ARRIVAL_INVALID},
    };
    check_all(TABLE(cases));
}

TEST(only_the_responder_role_is_played)
{
    static const struct scan cases[] = {
        {__LINE__, "B1r0 | P1 S1", ARRIVAL_ENDED},   {__LINE__, "B1r2 | P1 S1", ARRIVAL_ENDED},
        {__LINE__, "B1r3 | P1 S1", ARRIVAL_ENDED},   {__LINE__, "B1r256 | P1 S1", ARRIVAL_ENDED},
        {__LINE__, "B1r257 | P1 S1", ARRIVAL_ENDED}, {__LINE__, "B1r1 P1 S1", ARRIVAL_REQUEST},
        {__LINE__, "B1r2", ARRIVAL_ENDED},           {__LINE__, "B1r1", ARRIVAL_PARTIAL},
    };
    check_all(TABLE(cases));
}

TEST(the_content_of_a_begin_is_8_bytes)
{
    static const struct scan cases[] = {
        {__LINE__, "B1.0", ARRIVAL_INVALID},       {__LINE__, "B1.7 P1 S1", ARRIVAL_INVALID},
        {__LINE__, "B1.9 P1 S1", ARRIVAL_INVALID}, {__LINE__, "B1.264 P1 S1", ARRIVAL_INVALID},
        {__LINE__, "B1.65535", ARRIVAL_INVALID},   {__LINE__, "B1.8 P1 S1", ARRIVAL_REQUEST},
    };
    check_all(TABLE(cases));
}

/* What is wrong already in the first header need not wait for the rest, which may never come. */
TEST(a_wrong_header_is_invalid_before_its_content_arrives)
{
    static const char *const wrong[] = {"B1.9", "B1v2", "V0.129", "V0.65535", "V0.1v2"};
    static struct stream stream;
    for (size_t i = 0; i < LENGTH(wrong); i++) {
        encode(wrong[i], &stream);
        check(__LINE__, wrong[i], &stream, RECORD_HEADER_SIZE, ARRIVAL_INVALID, 0);
        check(__LINE__, wrong[i], &stream, RECORD_HEADER_SIZE - 1, ARRIVAL_PARTIAL, 0);
    }
}

TEST(a_management_record_is_whole_once_its_last_byte_has_arrived)
{
    static const struct scan cases[] = {
        {__LINE__, "V0 | V0", ARRIVAL_MANAGEMENT},
        {__LINE__, "V0.16 | B1 P1.70 P1 S1", ARRIVAL_MANAGEMENT},
        {__LINE__, "V0.5+3 | V0.5+3", ARRIVAL_MANAGEMENT},
        {__LINE__, "V0.128+255 | V0", ARRIVAL_MANAGEMENT},
        {__LINE__, "X0.7 | B1v2", ARRIVAL_MANAGEMENT},
        {__LINE__, "S0 | S0", ARRIVAL_MANAGEMENT},
        {__LINE__, "B0", ARRIVAL_MANAGEMENT},
    };
    check_growing(TABLE(cases));
}

TEST(a_management_record_has_at_most_128_bytes_of_content)
{
    static const struct scan cases[] = {
        {__LINE__, "V0.128", ARRIVAL_MANAGEMENT},
        {__LINE__, "V0.129", ARRIVAL_INVALID},
        {__LINE__, "V0.256", ARRIVAL_INVALID},
        {__LINE__, "X0.129", ARRIVAL_INVALID},
    };
    check_all(TABLE(cases));
}

TEST(it_makes_no_difference_how_many_bytes_come_at_a_time)
{
    static const struct scan cases[] = {
        {__LINE__, "B1+8 P1.9+255 P1+1 S1.4+4 S1+7 | B1", ARRIVAL_REQUEST},
        {__LINE__, "B1 P1.5 P1.300 P1 S1.1 S1.260 S1 | V0.16", ARRIVAL_REQUEST},
        {__LINE__, "B1 P1.3 B2 P2 S2 P1 S1", ARRIVAL_REQUEST},
        {__LINE__, "V0.128+255 | V0", ARRIVAL_MANAGEMENT},
        {__LINE__, "B1 P1.20 P1 A1+3 | S1", ARRIVAL_ENDED},
        {__LINE__, "B1 P1.20 V0.9+3 | P1 S1", ARRIVAL_MANAGEMENT},
        {__LINE__, "A1.9 S1+3 B1r2 | P1", ARRIVAL_ENDED},
        {__LINE__, "B1 P1.20 P1 D1", ARRIVAL_INVALID},
    };
    static struct stream stream;
    for (size_t i = 0; i < LENGTH(cases); i++) {
        const size_t expected = encode(cases[i].records, &stream);
        for (size_t step = 1; step <= 40; step++) {
            struct incoming incoming = {.stage = 0};
            size_t used;
            const enum arrival got = take(&incoming, stream.bytes, stream.length, step, &used);
            incoming_reset(&incoming);
            same_string(cases[i].line, cases[i].records, name_of(cases[i].expected), name_of(got));
            if (got != ARRIVAL_INVALID)
                same_number(cases[i].line, cases[i].records, expected, used);
        }
    }
}

/* A request as far as it goes, which must be valid, for the caller to reset. */
static struct incoming incoming_from(int line, const char *records, enum arrival expected)
{
    static struct stream stream;
    struct incoming incoming = {.stage = 0};
    size_t used;
    encode(records, &stream);
    const enum arrival got = take(&incoming, stream.bytes, stream.length, SIZE_MAX, &used);
    same_string(line, records, name_of(expected), name_of(got));
    return incoming;
}

TEST(a_body_is_counted_without_padding_and_what_belongs_to_other_requests)
{
    static const struct {
        int line;
        const char *records;
        size_t length;
    } cases[] = {
        {__LINE__, "B1 P1 S1", 0},
        {__LINE__, "B1 P1.9 P1 S1.1 S1", 1},
        {__LINE__, "B1 P1 S1.65535+9 S1.65535 S1.2+255 S1", 131072},
        {__LINE__, "B1 P1 S2.70 S1.3 P2.8 S1", 3},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct incoming incoming = incoming_from(cases[i].line, cases[i].records, ARRIVAL_REQUEST);
        same_number(cases[i].line, cases[i].records, cases[i].length, incoming.body_length);
        incoming_reset(&incoming);
        same_number(cases[i].line, "a reset", 0, incoming.body_length);
    }
}

TEST(too_long_a_body_is_not_waited_for)
{
    const uint8_t record[RECORD_HEADER_SIZE + 32768] = {1, FCGI_STDIN, 0, 1, 0x80};
    struct incoming incoming = incoming_from(__LINE__, "B1 P1", ARRIVAL_PARTIAL);
    size_t used;
    for (size_t sent = 0; sent < BODY_MAX; sent += 32768)
        assert_int_equal(ARRIVAL_PARTIAL, take(&incoming, record, sizeof(record), SIZE_MAX, &used));
    assert_int_equal(ARRIVAL_PARTIAL, take(&incoming, record, RECORD_HEADER_SIZE, SIZE_MAX, &used));
    assert_int_equal(ARRIVAL_REQUEST, take(&incoming, (const uint8_t *)"x", 1, SIZE_MAX, &used));
    assert_true(incoming.body_length > BODY_MAX);
    incoming_reset(&incoming);
}

TEST(parameters_are_kept_up_to_512_KiB)
{
    const uint8_t record[RECORD_HEADER_SIZE + 32768] = {1, FCGI_PARAMS, 0, 1, 0x80};
    struct incoming incoming = incoming_from(__LINE__, "B1", ARRIVAL_PARTIAL);
    enum arrival arrival = ARRIVAL_PARTIAL;
    size_t used, taken = 0;
    for (; arrival == ARRIVAL_PARTIAL && taken <= PARAMS_MAX; taken += 32768)
        arrival = take(&incoming, record, sizeof(record), SIZE_MAX, &used);
    assert_int_equal(ARRIVAL_INVALID, arrival);
    assert_int_equal(PARAMS_MAX, taken);
    incoming_reset(&incoming);
}

/* A request with those bytes as its parameters. */
static struct incoming incoming_with(const void *params, size_t length)
{
    struct incoming incoming = incoming_from(__LINE__, "B1+3", ARRIVAL_PARTIAL);
    const uint8_t header[] = {1, FCGI_PARAMS, 0, 1, (uint8_t)(length >> 8), (uint8_t)length, 0, 0};
    static const uint8_t ends[] = {1, FCGI_PARAMS, 0, 1, 0, 0, 0, 0,
                                   1, FCGI_STDIN,  0, 1, 0, 0, 0, 0};
    size_t used;
    assert_int_equal(ARRIVAL_PARTIAL, take(&incoming, header, sizeof(header), SIZE_MAX, &used));
    assert_int_equal(ARRIVAL_PARTIAL, take(&incoming, params, length, SIZE_MAX, &used));
    assert_int_equal(ARRIVAL_REQUEST, take(&incoming, length ? ends : ends + 8,
                                           length ? sizeof(ends) : 8, SIZE_MAX, &used));
    return incoming;
}

TEST(parameters_are_pairs_of_which_nothing_is_missing)
{
    static const struct {
        int line;
        const char *params;
        size_t length;
        bool expected;
    } cases[] = {
        {__LINE__, "", 0, true},
        {__LINE__, "\0\0", 2, true},
        {__LINE__, "\1\2abc", 5, true},
        {__LINE__, "\1\2abc\1\0d", 8, true},
        {__LINE__, "\200\0\0\1\2abc", 8, true},
        {__LINE__, "\1\200\0\0\2abc", 8, true},
        {__LINE__, "\200\0\0\1\200\0\0\2abc", 11, true},
        {__LINE__, "\0", 1, false},
        {__LINE__, "\1", 1, false},
        {__LINE__, "\1\0", 2, false},
        {__LINE__, "\0\1", 2, false},
        {__LINE__, "\1\2ab", 4, false},
        {__LINE__, "\1\2abc\0", 6, false},
        {__LINE__, "\1\2abc\1\1d", 8, false},
        {__LINE__, "\200", 1, false},
        {__LINE__, "\200\0\0", 3, false},
        {__LINE__, "\200\0\0\1", 4, false},
        {__LINE__, "\0\200\0\0", 4, false},
        {__LINE__, "\200\0\1\0\0", 5, false},
        {__LINE__, "\200\1\0\0\0", 5, false},
        {__LINE__, "\377\377\377\377\377\377\377\377", 8, false},
        {__LINE__, "\377\377\377\377\0", 5, false},
        {__LINE__, "\0\377\377\377\377", 5, false},
        {__LINE__, "\300\0\0\0\300\0\0\0", 8, false},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct incoming incoming = incoming_with(cases[i].params, cases[i].length);
        same_number(cases[i].line, cases[i].params, cases[i].expected,
                    incoming_has_pairs(&incoming));
        incoming_reset(&incoming);
    }
}

/* What is printed, with its content for those who compare it; "B1 P1.8 P1 S1". */
static const char *printed(const struct incoming *incoming, uint8_t *content, size_t *length)
{
    static uint8_t room[REQUEST_SIZE_MAX];
    static char text[256];
    const uint8_t *at = room + REQUEST_SIZE_MAX - incoming_print(incoming, room + sizeof(room));
    int written = 0;
    *length = 0;
    for (size_t size; at < room + sizeof(room); at += RECORD_HEADER_SIZE + size) {
        size = (size_t)at[4] << 8 | at[5];
        holds(__LINE__, text, "version 1 and no padding", at[0] == 1 && at[6] == 0);
        written += snprintf(text + written, sizeof(text) - (size_t)written, "%s%c%d.%zu",
                            written ? " " : "", "?B??PS"[at[1]], at[2] << 8 | at[3], size);
        if (at[1] == FCGI_PARAMS)
            memcpy(content + *length, at + RECORD_HEADER_SIZE, size);
        *length += at[1] == FCGI_PARAMS ? size : 0;
    }
    return text;
}

TEST(a_request_is_printed_with_its_parameters_and_its_body)
{
    static const struct {
        int line;
        const char *records, *expected;
    } cases[] = {
        {__LINE__, "B1 P1 S1", "B1.8 P1.0 S1.0"},
        {__LINE__, "B258+9 P258.4+4 P258+4 S258+8", "B258.8 P258.4 P258.0 S258.0"},
        {__LINE__, "B1 P1.3 P1.4+9 P1 S1.9 S1", "B1.8 P1.7 P1.0 S1.9 S1.0"},
        {__LINE__, "B1 P1.3 B2 P2.9 P1 S2.8 S1", "B1.8 P1.3 P1.0 S1.0"},
        {__LINE__, "B1 P1.65535 P1 S1", "B1.8 P1.65535 P1.0 S1.0"},
        {__LINE__, "B1 P1 S1.1 S1.2+9 S1.3 S1", "B1.8 P1.0 S1.6 S1.0"},
        {__LINE__, "B1 P1 S1.65535 S1.1 S1", "B1.8 P1.0 S1.1 S1.65535 S1.0"},
        {__LINE__, "B1 P1 S1.65535 S1.2 S1", "B1.8 P1.0 S1.0"},
        {__LINE__, "B1 P1 S1.65535 S1.65535 S1.1 S1", "B1.8 P1.0 S1.0"},
        {__LINE__, "B1 P1.65535 P1.2 P1 S1", "B1.8 P1.2 P1.65535 P1.0 S1.0"},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        static uint8_t content[REQUEST_SIZE_MAX];
        size_t length;
        struct incoming incoming = incoming_from(cases[i].line, cases[i].records, ARRIVAL_REQUEST);
        same_string(cases[i].line, cases[i].records, cases[i].expected,
                    printed(&incoming, content, &length));
        incoming_reset(&incoming);
    }
}

TEST(parameters_are_printed_as_they_came)
{
    static uint8_t sent[65535], content[REQUEST_SIZE_MAX];
    size_t length;
    for (size_t i = 0; i < sizeof(sent); i++)
        sent[i] = (uint8_t)(i % 251);
    struct incoming incoming = incoming_with(sent, sizeof(sent));
    same_string(__LINE__, "65535 bytes", "B1.8 P1.65535 P1.0 S1.0",
                printed(&incoming, content, &length));
    assert_int_equal(sizeof(sent), length);
    assert_memory_equal(sent, content, length);
    incoming_reset(&incoming);
}

TEST(a_request_that_gets_no_answer_is_told_its_end)
{
    static const struct {
        int line;
        const char *records;
        uint8_t id[2], status;
    } cases[] = {
        {__LINE__, "B1 P1.3 B258", {1, 2}, FCGI_CANT_MPX_CONN},
        {__LINE__, "B258 P258.3 A258", {1, 2}, FCGI_REQUEST_COMPLETE},
        {__LINE__, "B258r3", {1, 2}, FCGI_UNKNOWN_ROLE},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        const uint8_t expected[END_SIZE] = {
            1, FCGI_END_REQUEST, cases[i].id[0], cases[i].id[1], 0, 8, 0, 0, 0, 0, 0,
            0, cases[i].status};
        struct incoming incoming = incoming_from(cases[i].line, cases[i].records, ARRIVAL_ENDED);
        uint8_t answer[END_SIZE];
        same_number(cases[i].line, cases[i].records, END_SIZE, ended_answer(&incoming, answer));
        holds(cases[i].line, cases[i].records, "FCGI_END_REQUEST",
              memcmp(expected, answer, sizeof(answer)) == 0);
        incoming_reset(&incoming);
    }
}

/* What a whole answer of so many bytes is printed as: "O.65528 O.2 O.0 E.8", and that its bytes
 * are the same. */
static const char *wrapped(size_t length)
{
    static uint8_t records[ANSWER_SIZE_MAX(3 * OUTPUT_CONTENT_MAX)];
    static char text[64];
    size_t size, seen = 0;
    int written = 0;
    for (size_t i = 0; i < length; i++)
        records[RECORD_HEADER_SIZE + i] = (uint8_t)(i % 251);
    const size_t all = answer_wrap(records, length, 258);
    assert_true(all <= ANSWER_SIZE_MAX(length));
    for (const uint8_t *at = records; at < records + all; at += RECORD_HEADER_SIZE + size) {
        size = (size_t)at[4] << 8 | at[5];
        assert_true(at[0] == 1 && at[2] == 1 && at[3] == 2 && at[6] == 0);
        written += snprintf(text + written, sizeof(text) - (size_t)written, "%s%c.%zu",
                            written ? " " : "", "???E??O"[at[1]], size);
        for (size_t i = 0; at[1] == FCGI_STDOUT && i < size; i++, seen++)
            assert_int_equal(seen % 251, at[RECORD_HEADER_SIZE + i]);
    }
    assert_int_equal(length, seen);
    return text;
}

TEST(an_answer_is_wrapped_in_records)
{
    assert_string_equal("O.0 E.8", wrapped(0));
    assert_string_equal("O.1 O.0 E.8", wrapped(1));
    assert_string_equal("O.65528 O.0 E.8", wrapped(OUTPUT_CONTENT_MAX));
    assert_string_equal("O.65528 O.1 O.0 E.8", wrapped(OUTPUT_CONTENT_MAX + 1));
    assert_string_equal("O.65528 O.65528 O.65528 O.0 E.8", wrapped(3 * OUTPUT_CONTENT_MAX));
}

/* An FCGI_GET_VALUES_RESULT as "FCGI_MAX_CONNS=8 FCGI_MPXS_CONNS=0". */
static const char *values_in(const uint8_t *answer, size_t length)
{
    static char text[512];
    const uint8_t *end = answer + length;
    int at = 0;
    text[0] = '\0';
    for (const uint8_t *pair = answer + RECORD_HEADER_SIZE; pair + 2 <= end;
         pair += 2 + pair[0] + pair[1]) {
        assert_true(pair + 2 + pair[0] + pair[1] <= end);
        at += snprintf(text + at, sizeof(text) - (size_t)at, "%s%.*s=%.*s", at ? " " : "", pair[0],
                       (const char *)pair + 2, pair[1], (const char *)pair + 2 + pair[0]);
    }
    return text;
}

static const char *in_hex(const uint8_t *bytes, size_t length)
{
    static char text[2 * MANAGEMENT_CONTENT_MAX + 1];
    text[0] = '\0';
    for (size_t i = 0; i < length && i < MANAGEMENT_CONTENT_MAX; i++)
        sprintf(text + 2 * i, "%02x", bytes[i]);
    return text;
}

/* The answer to an FCGI_GET_VALUES record with that content, which ends at the wall. */
static size_t answer_to(int line, const void *content, size_t length, unsigned connections,
                        uint8_t answer[MANAGEMENT_SIZE])
{
    const uint8_t header[] = {1, FCGI_GET_VALUES, 0, 0, 0, (uint8_t)length, 0, 0};
    uint8_t *record = walled(line, sizeof(header) + length);
    memcpy(record, header, sizeof(header));
    memcpy(record + sizeof(header), content, length);
    memset(answer, 0xEE, MANAGEMENT_SIZE);
    const struct incoming incoming = {.kept = record};
    return management_answer(&incoming, connections, answer);
}

static void check_values(int line, const void *content, size_t length, unsigned connections,
                         const char *expected)
{
    uint8_t answer[MANAGEMENT_SIZE];
    const size_t size = answer_to(line, content, length, connections, answer);
    const char *sent = in_hex(content, length);
    holds(line, sent, "size from header to MANAGEMENT_SIZE",
          size >= RECORD_HEADER_SIZE && size <= MANAGEMENT_SIZE);
    const uint8_t header[] = {
        1, FCGI_GET_VALUES_RESULT, 0, 0, 0, (uint8_t)(size - RECORD_HEADER_SIZE), 0, 0};
    holds(line, sent, "header of the answer", memcmp(answer, header, sizeof(header)) == 0);
    same_string(line, sent, expected, values_in(answer, size));
}

/* names, separated by spaces, as name-value pairs with empty values (section 3.4). */
static size_t pairs_of(const char *names, uint8_t *content)
{
    size_t length = 0;
    for (; *names; names += strspn(names, " ")) {
        const size_t name = strcspn(names, " ");
        content[length] = (uint8_t)name;
        content[length + 1] = 0;
        memcpy(content + length + 2, names, name);
        length += 2 + name;
        names += name;
    }
    return length;
}

TEST(the_values_that_are_asked_for_are_answered)
{
    static const struct {
        int line;
        const char *names;
        unsigned connections;
        const char *expected;
    } cases[] = {
        {__LINE__, "", 8, ""},
        {__LINE__, "FCGI_MAX_CONNS", 8, "FCGI_MAX_CONNS=8"},
        {__LINE__, "FCGI_MAX_REQS", 2048, "FCGI_MAX_REQS=2048"},
        {__LINE__, "FCGI_MPXS_CONNS", 8, "FCGI_MPXS_CONNS=0"},
        {__LINE__, "FCGI_MPXS_CONNS FCGI_MAX_CONNS FCGI_MAX_REQS", 65536,
         "FCGI_MAX_CONNS=65536 FCGI_MAX_REQS=65536 FCGI_MPXS_CONNS=0"},
        {__LINE__, "FCGI_MAX_CONNS FCGI_MAX_REQS FCGI_MPXS_CONNS", UINT32_MAX,
         "FCGI_MAX_CONNS=4294967295 FCGI_MAX_REQS=4294967295 FCGI_MPXS_CONNS=0"},
        {__LINE__, "FCGI_MAX FCGI_MAX_REQ FCGI_MAX_REQSS fcgi_max_reqs FCGI_MAX_CONNX", 8, ""},
        {__LINE__, "SOMETHING_ELSE FCGI_MAX_REQS", 8, "FCGI_MAX_REQS=8"},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        uint8_t content[256];
        const size_t length = pairs_of(cases[i].names, content);
        check_values(cases[i].line, content, length, cases[i].connections, cases[i].expected);
    }
}

/* libfcgi's own answer grows with each. */
TEST(a_name_that_is_repeated_is_answered_once)
{
    uint8_t content[MANAGEMENT_CONTENT_MAX];
    const size_t length = pairs_of(repeated("FCGI_MAX_REQS ", 8), content);
    check_values(__LINE__, content, length, 8, "FCGI_MAX_REQS=8");
}

TEST(ill_formed_pairs_are_not_read_past_the_record)
{
    static const struct {
        int line;
        const char *content;
        size_t length;
        const char *expected;
    } cases[] = {
        {__LINE__, "\x0D", 1, ""},
        {__LINE__, "\x0D\0", 2, ""},
        {__LINE__, "\x0D\0FCGI_MAX_REQ", 14, ""},
        {__LINE__, "\x0D\0FCGI_MAX_REQS\x0E", 16, "FCGI_MAX_REQS=8"},
        {__LINE__, "\x0D\0FCGI_MAX_REQS\x0E\0", 17, "FCGI_MAX_REQS=8"},
        {__LINE__, "\x0D\177FCGI_MAX_REQS", 15, "FCGI_MAX_REQS=8"},
        {__LINE__, "\0\x0F\x0D\0FCGI_MAX_REQS", 17, ""},
        {__LINE__, "\0\0\x0D\0FCGI_MAX_REQS", 17, "FCGI_MAX_REQS=8"},
        {__LINE__, "\x01\x02xyz\x0D\0FCGI_MAX_REQS", 20, "FCGI_MAX_REQS=8"},
        {__LINE__, "\xFF\xFF\xFF\xFF", 4, ""},
        {__LINE__, "\x80\0\0\x0D\0FCGI_MAX_REQS", 18, ""},
    };
    for (size_t i = 0; i < LENGTH(cases); i++)
        check_values(cases[i].line, cases[i].content, cases[i].length, 8, cases[i].expected);
}

TEST(content_of_every_length_is_read_within_the_record)
{
    for (unsigned byte = 0; byte <= UINT8_MAX; byte++) {
        uint8_t content[MANAGEMENT_CONTENT_MAX];
        memset(content, (int)byte, sizeof(content));
        for (size_t length = 0; length <= sizeof(content); length++)
            check_values(__LINE__, content, length, 8, "");
    }
}

TEST(any_other_management_record_is_of_unknown_type)
{
    for (unsigned type = 0; type <= UINT8_MAX; type++) {
        const uint8_t header[RECORD_HEADER_SIZE] = {1, (uint8_t)type};
        const uint8_t expected[16] = {1, FCGI_UNKNOWN_TYPE, 0, 0, 0, 8, 0, 0, (uint8_t)type};
        const struct incoming incoming = {
            .kept = memcpy(walled(__LINE__, sizeof(header)), header, sizeof(header))};
        uint8_t answer[MANAGEMENT_SIZE];
        memset(answer, 0xEE, sizeof(answer));
        if (type == FCGI_GET_VALUES)
            continue;
        assert_int_equal(management_answer(&incoming, 8, answer), sizeof(expected));
        assert_memory_equal(answer, expected, sizeof(expected));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_whole_once_its_last_byte_has_arrived),
        cmocka_unit_test(what_comes_behind_a_request_is_not_counted),
        cmocka_unit_test(content_may_be_65535_bytes_long),
        cmocka_unit_test(another_request_on_the_connection_does_not_end_this_one),
        cmocka_unit_test(what_no_web_server_sends_to_a_responder_is_invalid),
        cmocka_unit_test(records_of_requests_that_are_not_active_are_skipped),
        cmocka_unit_test(a_request_that_is_aborted_is_over),
        cmocka_unit_test(management_records_may_come_within_a_request),
        cmocka_unit_test(only_version_1_is_spoken),
        cmocka_unit_test(only_the_responder_role_is_played),
        cmocka_unit_test(the_content_of_a_begin_is_8_bytes),
        cmocka_unit_test(a_wrong_header_is_invalid_before_its_content_arrives),
        cmocka_unit_test(a_management_record_is_whole_once_its_last_byte_has_arrived),
        cmocka_unit_test(a_management_record_has_at_most_128_bytes_of_content),
        cmocka_unit_test(it_makes_no_difference_how_many_bytes_come_at_a_time),
        cmocka_unit_test(a_body_is_counted_without_padding_and_what_belongs_to_other_requests),
        cmocka_unit_test(too_long_a_body_is_not_waited_for),
        cmocka_unit_test(parameters_are_kept_up_to_512_KiB),
        cmocka_unit_test(parameters_are_pairs_of_which_nothing_is_missing),
        cmocka_unit_test(a_request_is_printed_with_its_parameters_and_its_body),
        cmocka_unit_test(parameters_are_printed_as_they_came),
        cmocka_unit_test(a_request_that_gets_no_answer_is_told_its_end),
        cmocka_unit_test(an_answer_is_wrapped_in_records),
        cmocka_unit_test(the_values_that_are_asked_for_are_answered),
        cmocka_unit_test(a_name_that_is_repeated_is_answered_once),
        cmocka_unit_test(ill_formed_pairs_are_not_read_past_the_record),
        cmocka_unit_test(content_of_every_length_is_read_within_the_record),
        cmocka_unit_test(any_other_management_record_is_of_unknown_type),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
