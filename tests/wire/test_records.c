/* What the responder makes of the records it gets, well-formed or not. */
#include "client.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

enum { MIB = 1024 * 1024, AT_ONCE = 64 * 1024 /* what a worker reads at once */ };

/* Sends bytes on a connection of their own, which is closed without an answer. */
static void expect_refused(struct responder *responder, const struct bytes *bytes)
{
    struct client *client = client_open(responder);
    const int64_t began_ms = now_ms();
    client_send_all(client, bytes);
    expect_closed(client);
    if (now_ms() - began_ms > PROMPT_MS)
        fail_client(client, "the connection's end without delay");
    client_close(client);
}

/* --- Well-formed requests, in every shape --------------------------------------------------- */

static void a_request_in_one_write_is_answered(void **state)
{
    struct responder *responder = serve(state, 1);
    expect_greeting(client_open(responder), &unkept);
    expect_unharmed(responder);
}

/* A worker sees every one of them before the next is sent. */
static void send_byte_by_byte(struct responder *responder, struct client *client,
                              const struct bytes *bytes)
{
    for (size_t i = 0; i < bytes->length; i++) {
        client_send(client, bytes->data + i, 1);
        settle(responder);
    }
}

static void a_request_sent_one_byte_at_a_time_is_answered(void **state)
{
    struct responder *responder = serve(state, 1);
    struct client *client = client_open(responder);
    for (int i = 0; i < 2; i++) {
        send_byte_by_byte(responder, client, request_bytes(&kept));
        expect_answer(client, 200, "Hello World\n");
    }
    expect_unharmed(responder);
}

/* The kernel charges a sender several hundred bytes for each one-byte write that nobody has read,
 * so that a responder that only peeked at them would stop it before the request is whole. */
static void a_long_request_sent_one_byte_at_a_time_is_answered(void **state)
{
    struct responder *responder = serve(state, 1);
    struct bytes *more = bytes_new();
    char value[801] = "";
    memset(value, 'v', sizeof(value) - 1);
    add_pair(more, "HTTP_COOKIE", value);
    struct client *client = client_open(responder);
    send_byte_by_byte(responder, client, request_bytes(&(struct request){.more = more}));
    expect_answer(client, 200, "Hello World\n");
    expect_unharmed(responder);
}

static void expect_padding_skipped(struct responder *responder, bool pad_all)
{
    static const uint8_t paddings[] = {1, 7, 8, 9, 255};
    struct client *client = client_open(responder);
    for (size_t i = 0; i < sizeof(paddings); i++)
        expect_greeting(client, &(struct request){.keep = true,
                                                  .padding = paddings[i],
                                                  .pad_all = pad_all,
                                                  .body = 9,
                                                  .record_max = 4});
    expect_unharmed(responder);
}

static void padding_behind_content_is_skipped(void **state)
{
    expect_padding_skipped(serve(state, 1), false);
}

/* No web server pads a record that begins a request or ends a stream. libfcgi forgets padding
 * there, and takes it for the next record. */
static void padding_of_every_record_is_skipped(void **state)
{
    expect_padding_skipped(serve(state, 1), true);
}

/* libfcgi reads 8 KiB at a time. */
static void padding_across_what_is_read_at_once_is_skipped(void **state)
{
    struct responder *responder = serve(state, 1);
    struct client *client = client_open(responder);
    for (size_t body = 8192 - 200; body <= 8192; body++)
        expect_greeting(client, &(struct request){.keep = true, .padding = 16, .body = body});
    expect_unharmed(responder);
}

static void parameters_over_many_records_are_put_together(void **state)
{
    struct responder *responder = serve(state, 1);
    struct client *client = client_open(responder);
    for (uint16_t most = 1; most < 40; most++)
        expect_greeting(client, &(struct request){.keep = true, .record_max = most});
    expect_unharmed(responder);
}

static void long_names_and_values_take_lengths_of_four_bytes(void **state)
{
    struct responder *responder = serve(state, 1);
    struct client *client = client_open(responder);
    struct bytes *more = bytes_new();
    char long_text[301] = "";
    char target[200] = "/?name=";
    memset(long_text, 'N', sizeof(long_text) - 1);
    for (size_t end = strlen(target), i = 0; i < 30; i++, end += 6)
        memcpy(target + end, "%C3%A9", 6);
    add_pair(more, long_text, long_text);
    add_pair(more, long_text, "");
    client_ask(client, &(struct request){.more = more, .target = target});
    expect_answer(client, 200, "Hello éééééééééééééééééééééééééééééé\n");
    expect_unharmed(responder);
}

static void short_names_and_values_may_take_lengths_of_four_bytes(void **state)
{
    struct responder *responder = serve(state, 1);
    struct client *client = client_open(responder);
    struct bytes *more = bytes_new();
    add_long_length(more, strlen("HTTP_ACCEPT"));
    add_long_length(more, strlen("application/json"));
    bytes_add(more, "HTTP_ACCEPTapplication/json", strlen("HTTP_ACCEPTapplication/json"));
    client_ask(client, &(struct request){.more = more});
    expect_answer(client, 200, "{\"greeting\":\"Hello World\",\"name\":\"World\"}\n");
    expect_unharmed(responder);
}

static struct bytes *large_parameter(size_t length)
{
    struct bytes *more = bytes_new();
    add_long_length(more, strlen("HTTP_COOKIE"));
    add_long_length(more, (uint32_t)length);
    bytes_add(more, "HTTP_COOKIE", strlen("HTTP_COOKIE"));
    for (size_t i = 0; i < length; i++)
        bytes_add(more, "c", 1);
    return more;
}

static void parameters_larger_than_64_KiB_are_read(void **state)
{
    static const size_t lengths[] = {65536, 100000, 300000};
    struct responder *responder = serve(state, 1);
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
        expect_greeting(client_open(responder),
                        &(struct request){.more = large_parameter(lengths[i])});
    expect_unharmed(responder);
}

static void requests_around_64_KiB_are_answered(void **state)
{
    struct responder *responder = serve(state, 1);
    const size_t around = request_bytes(&(struct request){.body = 60000})->length - 60000;
    for (size_t length = AT_ONCE - 9; length <= AT_ONCE + 9; length++)
        expect_greeting(client_open(responder), &(struct request){.body = length - around});
    expect_unharmed(responder);
}

static void the_answer_carries_the_id_of_the_request(void **state)
{
    static const uint16_t ids[] = {1, 2, 255, 256, 65535};
    struct responder *responder = serve(state, 1);
    struct client *client = client_open(responder);
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
        expect_greeting(client, &(struct request){.keep = true, .id = ids[i]});
    expect_unharmed(responder);
}

static void an_answer_without_a_body_is_whole(void **state)
{
    struct responder *responder = serve(state, 1);
    struct client *client = client_open(responder);
    client_ask(client, &(struct request){.keep = true, .method = "HEAD"});
    expect_answer(client, 200, "");
    client_ask(client, &(struct request){.keep = true, .method = "OPTIONS"});
    expect_answer(client, 204, "");
    expect_unharmed(responder);
}

static void a_request_without_parameters_is_refused(void **state)
{
    struct responder *responder = serve(state, 1);
    struct client *client = client_open(responder);
    struct bytes *bytes = bytes_new();
    add_begin(bytes, 1, FCGI_RESPONDER, 0, 0);
    add_stream(bytes, FCGI_PARAMS, bytes_new(), &unkept);
    add_stream(bytes, FCGI_STDIN, bytes_new(), &unkept);
    client_send_all(client, bytes);
    expect_answer(client, 400, NULL);
    expect_closed(client);
    expect_unharmed(responder);
}

/* --- Bodies --------------------------------------------------------------------------------- */

static void a_body_of_exactly_1_MiB_is_read_to_its_end(void **state)
{
    struct responder *responder = serve(state, 1);
    expect_greeting(client_open(responder), &(struct request){.body = MIB});
    expect_unharmed(responder);
}

static void a_body_of_more_than_1_MiB_is_refused(void **state)
{
    static const size_t lengths[] = {MIB + 1, MIB + 5000, 3 * MIB};
    struct responder *responder = serve(state, 1);
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        struct client *client = client_open(responder);
        client_ask(client, &(struct request){.keep = true, .body = lengths[i]});
        expect_answer(client, 413, NULL);
        expect_closed(client);
    }
    expect_unharmed(responder);
}

/* What follows is still body, whatever it looks like; it must not be taken for another request. */
static void a_connection_is_closed_behind_a_body_that_is_refused(void **state)
{
    struct responder *responder = serve(state, 1);
    struct client *client = client_open(responder);
    const struct bytes *bytes = request_bytes(&(struct request){.keep = true, .body = MIB + 1});
    client_send_until(client, bytes, bytes->length - FCGI_HEADER_LEN);
    expect_answer(client, 413, NULL);
    expect_closed(client);
    expect_unharmed(responder);
}

static void a_body_that_is_not_as_long_as_declared_is_refused(void **state)
{
    static const struct {
        const char *declared;
        size_t body;
    } cases[] = {{"5", 0},
                 {"5", 4},
                 {"5", 6},
                 {"0", 1},
                 {"70000", 69999},
                 {"70000", 70001},
                 {"18446744073709551621", 5}};
    struct responder *responder = serve(state, 1);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct client *client = client_open(responder);
        client_ask(client, &(struct request){.keep = true,
                                             .body = cases[i].body,
                                             .content_length = cases[i].declared});
        expect_answer(client, 400, NULL);
    }
    expect_unharmed(responder);
}

static void no_body_may_be_declared_as_an_empty_length(void **state)
{
    struct responder *responder = serve(state, 1);
    expect_greeting(client_open(responder), &(struct request){.content_length = ""});
    expect_greeting(client_open(responder), &(struct request){.content_length = "0"});
    expect_unharmed(responder);
}

/* No route reads a body; what is left of it would be taken for the next request. */
static void a_body_does_not_reach_into_the_next_request(void **state)
{
    static const size_t lengths[] = {1, 4095, 4096, 4097, 8192, 20000, 60000};
    struct responder *responder = serve(state, 1);
    struct client *client = client_open(responder);
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        client_ask(client,
                   &(struct request){
                       .keep = true, .method = "PUT", .body = lengths[i], .record_max = 1000});
        expect_answer(client, 405, NULL);
        expect_greeting(client, &kept);
    }
    expect_unharmed(responder);
}

/* --- Management records --------------------------------------------------------------------- */

static struct bytes *management(uint8_t type, const struct bytes *content, uint8_t padding)
{
    struct bytes *bytes = bytes_new();
    add_record(bytes, type, FCGI_NULL_REQUEST_ID, content->data, content->length, padding);
    return bytes;
}

static struct bytes *values(const char *const names[])
{
    struct bytes *content = bytes_new();
    for (; *names; names++)
        add_pair(content, *names, "");
    return content;
}

static void expect_management(struct client *client, uint8_t type, const struct bytes *content)
{
    const struct record record = expect_record(client, "the answer to a management record");
    if (record.type != type || record.id != FCGI_NULL_REQUEST_ID ||
        record.length != content->length ||
        memcmp(record.content, content->data, content->length) != 0)
        fail_client(client, "another answer to a management record");
    client->answered = true;
}

static struct bytes *all_values(void)
{
    struct bytes *content = bytes_new();
    add_pair(content, FCGI_MAX_CONNS, "2048");
    add_pair(content, FCGI_MAX_REQS, "2048");
    add_pair(content, FCGI_MPXS_CONNS, "0");
    return content;
}

static void values_are_told_at_once_and_the_connection_stays_usable(void **state)
{
    static const char *const names[] = {FCGI_MAX_CONNS, "UNKNOWN", FCGI_MAX_REQS, FCGI_MPXS_CONNS,
                                        NULL};
    struct responder *responder = serve(state, 2);
    struct client *client = client_open(responder);
    struct client *other = client_open(responder);
    for (uint8_t padding = 0; padding < 3; padding++) {
        client_send_all(client, management(FCGI_GET_VALUES, values(names), padding));
        expect_management(client, FCGI_GET_VALUES_RESULT, all_values());
        expect_prompt_greeting(other, &kept);
        expect_greeting(client, &kept);
    }
    expect_unharmed(responder);
}

static void a_management_record_sent_one_byte_at_a_time_is_answered(void **state)
{
    static const char *const names[] = {FCGI_MAX_CONNS, FCGI_MAX_REQS, FCGI_MPXS_CONNS, NULL};
    struct responder *responder = serve(state, 2);
    struct client *client = client_open(responder);
    send_byte_by_byte(responder, client, management(FCGI_GET_VALUES, values(names), 0));
    expect_management(client, FCGI_GET_VALUES_RESULT, all_values());
    expect_unharmed(responder);
}

/* A web server may ask and go on without waiting for the answer. */
static void management_records_and_a_request_in_one_write_are_all_answered(void **state)
{
    static const char *const names[] = {FCGI_MPXS_CONNS, NULL};
    struct responder *responder = serve(state, 1);
    struct client *client = client_open(responder);
    const struct bytes *record = management(FCGI_GET_VALUES, values(names), 0);
    const struct bytes *request = request_bytes(&kept);
    struct bytes *result = bytes_new();
    struct bytes *bytes = bytes_new();
    add_pair(result, FCGI_MPXS_CONNS, "0");
    bytes_add(bytes, record->data, record->length);
    bytes_add(bytes, record->data, record->length);
    bytes_add(bytes, request->data, request->length);
    client_send_all(client, bytes);
    expect_management(client, FCGI_GET_VALUES_RESULT, result);
    expect_management(client, FCGI_GET_VALUES_RESULT, result);
    expect_answer(client, 200, "Hello World\n");
    expect_unharmed(responder);
}

/* libfcgi's own answer has room for each name once and overflows where one is repeated. */
static void repeated_names_are_answered_once(void **state)
{
    static const char *const names[] = {FCGI_MAX_CONNS, FCGI_MAX_CONNS, FCGI_MAX_CONNS,
                                        FCGI_MAX_CONNS, FCGI_MAX_CONNS, FCGI_MAX_CONNS,
                                        FCGI_MAX_CONNS, FCGI_MAX_CONNS, NULL};
    struct responder *responder = serve(state, 2);
    struct client *client = client_open(responder);
    struct bytes *result = bytes_new();
    add_pair(result, FCGI_MAX_CONNS, "2048");
    client_send_all(client, management(FCGI_GET_VALUES, values(names), 0));
    expect_management(client, FCGI_GET_VALUES_RESULT, result);
    expect_greeting(client, &kept);
    expect_unharmed(responder);
}

/* The lengths in the content lead beyond its end, behind which the worker may still see what it
 * has read before: the whole name. */
static void names_that_are_cut_off_are_not_answered(void **state)
{
    static const char *const name[] = {FCGI_MAX_CONNS, NULL};
    struct responder *responder = serve(state, 2);
    struct client *client = client_open(responder);
    struct bytes *content = values(name);
    struct bytes *result = bytes_new();
    add_pair(result, FCGI_MAX_CONNS, "2048");
    for (size_t whole = content->length; content->length > 0; content->length--) {
        client_send_all(client, management(FCGI_GET_VALUES, content, 0));
        expect_management(client, FCGI_GET_VALUES_RESULT,
                          content->length == whole ? result : bytes_new());
    }
    expect_greeting(client, &kept);
    expect_unharmed(responder);
}

static void names_whose_length_is_wrong_are_not_answered(void **state)
{
    static const char *const contents[] = {"\x0e", "\xff\xff", "\x7f\x7f" FCGI_MAX_CONNS,
                                           "\x0d\x01" FCGI_MAX_CONNS, "\x80\x01\x01\x0e\x01"};
    struct responder *responder = serve(state, 1);
    struct client *client = client_open(responder);
    for (size_t i = 0; i < sizeof(contents) / sizeof(contents[0]); i++) {
        struct bytes *content = bytes_new();
        bytes_add(content, contents[i], strlen(contents[i]));
        client_send_all(client, management(FCGI_GET_VALUES, content, 0));
        expect_management(client, FCGI_GET_VALUES_RESULT, bytes_new());
    }
    expect_greeting(client, &kept);
    expect_unharmed(responder);
}

static void an_oversize_management_record_closes_the_connection(void **state)
{
    static const size_t lengths[] = {129, 4096, 65535};
    struct responder *responder = serve(state, 1);
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        struct bytes *content = bytes_new();
        for (size_t k = 0; k < lengths[i]; k++)
            bytes_add(content, "", 1);
        expect_refused(responder, management(FCGI_GET_VALUES, content, 0));
    }
    expect_unharmed(responder);
}

static void an_unknown_type_of_management_record_is_told(void **state)
{
    static const uint8_t types[] = {0, FCGI_BEGIN_REQUEST, FCGI_UNKNOWN_TYPE, 12, 255};
    struct responder *responder = serve(state, 1);
    struct client *client = client_open(responder);
    for (size_t i = 0; i < sizeof(types); i++) {
        const FCGI_UnknownTypeBody body = {.type = types[i]};
        struct bytes *content = bytes_new();
        bytes_add(content, &body, sizeof(body));
        client_send_all(client, management(types[i], content, 0));
        expect_management(client, FCGI_UNKNOWN_TYPE, content);
    }
    expect_greeting(client, &kept);
    expect_unharmed(responder);
}

/* libfcgi's answer to them overflows. */
static struct bytes *repeated_values(void)
{
    static const char *const names[] = {FCGI_MAX_CONNS,
                                        FCGI_MAX_CONNS,
                                        FCGI_MAX_CONNS,
                                        FCGI_MAX_CONNS,
                                        FCGI_MAX_CONNS,
                                        FCGI_MAX_CONNS,
                                        NULL};
    return management(FCGI_GET_VALUES, values(names), 0);
}

/* Section 3.3: they belong to no request. Behind each record of one, and within it. */
static void a_management_record_in_the_middle_of_a_request_is_answered(void **state)
{
    struct responder *responder = serve(state, 1);
    struct client *client = client_open(responder);
    const struct bytes *request = request_bytes(&(struct request){.keep = true, .body = 20});
    struct bytes *told = bytes_new();
    add_pair(told, FCGI_MAX_CONNS, "1024");
    for (size_t at = 0; at < request->length;) {
        const uint8_t *header = request->data + at;
        at += FCGI_HEADER_LEN + ((size_t)header[4] << 8 | header[5]);
        struct bytes *bytes = bytes_new();
        bytes_add(bytes, request->data, at);
        bytes_add(bytes, repeated_values()->data, repeated_values()->length);
        client_send_all(client, bytes);
        if (at == request->length)
            expect_answer(client, 200, "Hello World\n");
        expect_management(client, FCGI_GET_VALUES_RESULT, told);
        client_send_from(client, request, at);
        if (at < request->length)
            expect_answer(client, 200, "Hello World\n");
    }
    expect_unharmed(responder);
}

static void a_management_record_behind_64_KiB_of_a_request_kills_no_worker(void **state)
{
    struct responder *responder = serve(state, 1);
    struct client *client = client_open(responder);
    struct bytes *bytes = request_bytes(&(struct request){.body = 70000});
    bytes->length -= FCGI_HEADER_LEN;
    bytes_add(bytes, repeated_values()->data, repeated_values()->length);
    add_record(bytes, FCGI_STDIN, 1, "", 0, 0);
    client_send_all(client, bytes);
    await_end(client);
    expect_unharmed(responder);
}

/* --- What no web server sends --------------------------------------------------------------- */

/* A request whose parameters are those bytes, well-formed or not. */
static struct bytes *request_with(const struct bytes *parameters)
{
    struct bytes *bytes = bytes_new();
    add_begin(bytes, 1, FCGI_RESPONDER, FCGI_KEEP_CONN, 0);
    add_stream(bytes, FCGI_PARAMS, parameters, &kept);
    add_stream(bytes, FCGI_STDIN, bytes_new(), &kept);
    return bytes;
}

/* CVE-2025-23016: their sum overflowed. */
static void over_long_parameter_lengths_close_the_connection(void **state)
{
    static const struct {
        uint32_t name, value;
    } lengths[] = {{0x7fffffff, 0x7fffffff},
                   {0x7fffffff, 0},
                   {0, 0x7fffffff},
                   {0x7ffffffe, 1},
                   {0x40000000, 0x40000000},
                   {0x7fffffff, 2},
                   {100, 0x7ffffff0},
                   {1000, 0},
                   {0, 1000}};
    struct responder *responder = serve(state, 1);
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        struct bytes *parameters = bytes_new();
        add_long_length(parameters, lengths[i].name);
        add_long_length(parameters, lengths[i].value);
        bytes_add(parameters, "REQUEST_METHOD", 14);
        expect_refused(responder, request_with(parameters));
    }
    expect_unharmed(responder);
}

static void parameters_that_are_cut_off_close_the_connection(void **state)
{
    struct responder *responder = serve(state, 1);
    struct bytes *parameters = bytes_new();
    add_pair(parameters, "REQUEST_METHOD", "GET");
    while (--parameters->length > 0)
        expect_refused(responder, request_with(parameters));
    expect_unharmed(responder);
}

/* libfcgi would take the parameters for complete and wait for a body. */
static void parameters_without_an_end_delay_nobody(void **state)
{
    struct responder *responder = serve(state, 1);
    const struct bytes *whole = request_bytes(&kept);
    struct bytes *bytes = bytes_new();
    struct client *client = client_open(responder);
    struct client *other = client_open(responder);
    bytes_add(bytes, whole->data, whole->length - (size_t)(2 * FCGI_HEADER_LEN));
    add_record(bytes, FCGI_STDIN, 1, "", 0, 0);
    client_send_all(client, bytes);
    expect_prompt_greeting(other, &unkept);
    expect_closed(client);
    expect_unharmed(responder);
}

static void garbage_closes_the_connection(void **state)
{
    static const char *const garbage[] = {"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
                                          "\x16\x03\x01\x02\x0b\x01\x01\xfc\x03\x03",
                                          "\xff\xff\xff\xff\xff\xff\xff\xff", "        "};
    struct responder *responder = serve(state, 1);
    for (size_t i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++) {
        struct bytes *bytes = bytes_new();
        bytes_add(bytes, garbage[i], strlen(garbage[i]));
        expect_refused(responder, bytes);
    }
    expect_unharmed(responder);
}

/* In each of a request's records, and before the rest of it comes. */
static void another_version_closes_the_connection(void **state)
{
    struct responder *responder = serve(state, 1);
    struct bytes *bytes = request_bytes(&(struct request){.keep = true, .body = 3});
    const size_t whole = bytes->length;
    for (size_t at = 0; at < whole;) {
        uint8_t *header = bytes->data + at;
        header[0] = 2;
        bytes->length = at + FCGI_HEADER_LEN;
        expect_refused(responder, bytes);
        header[0] = FCGI_VERSION_1;
        at += FCGI_HEADER_LEN + ((size_t)header[4] << 8 | header[5]);
    }
    bytes = management(FCGI_GET_VALUES, bytes_new(), 0);
    bytes->data[0] = 2;
    expect_refused(responder, bytes);
    expect_unharmed(responder);
}

static void expect_end(struct client *client, uint16_t id, uint8_t status)
{
    const FCGI_EndRequestBody body = {.protocolStatus = status};
    char expected[64];
    snprintf(expected, sizeof(expected), "FCGI_END_REQUEST of %d with protocolStatus %d", id,
             status);
    const struct record record = expect_record(client, expected);
    if (record.type != FCGI_END_REQUEST || record.id != id || record.length != sizeof(body) ||
        memcmp(record.content, &body, sizeof(body)) != 0)
        fail_client(client, expected);
}

/* A request of which a kept connection does not remember anything. */
static struct bytes *refused_request(uint16_t role, bool keep)
{
    struct bytes *bytes = request_bytes(&(struct request){.keep = keep, .body = 9});
    bytes->data[FCGI_HEADER_LEN] = (uint8_t)(role >> 8);
    bytes->data[FCGI_HEADER_LEN + 1] = (uint8_t)role;
    return bytes;
}

/* Whether all of its records have come before or come behind the refusal. */
static void a_request_in_another_role_is_refused_and_a_kept_connection_stays(void **state)
{
    static const uint16_t roles[] = {0, FCGI_AUTHORIZER, FCGI_FILTER, 4, 0x0100, 0x0101, 0xffff};
    struct responder *responder = serve(state, 1);
    for (size_t i = 0; i < 2 * sizeof(roles) / sizeof(roles[0]); i++) {
        struct client *client = client_open(responder);
        const struct bytes *bytes = refused_request(roles[i / 2], true);
        const size_t first = i % 2 ? bytes->length : sizeof(FCGI_BeginRequestRecord);
        client_send_until(client, bytes, first);
        expect_end(client, 1, FCGI_UNKNOWN_ROLE);
        client_send_from(client, bytes, first);
        expect_greeting(client, &kept);
        client_send_all(client, refused_request(roles[i / 2], false));
        expect_end(client, 1, FCGI_UNKNOWN_ROLE);
        expect_closed(client);
    }
    expect_unharmed(responder);
}

/* Behind each of a request's records but the last, and in its middle. */
static void a_request_that_is_aborted_ends_and_a_kept_connection_stays(void **state)
{
    struct responder *responder = serve(state, 1);
    struct client *client = client_open(responder);
    const struct bytes *whole = request_bytes(&(struct request){.keep = true, .body = 3});
    for (size_t at = 0; at < whole->length - FCGI_HEADER_LEN;) {
        const uint8_t *header = whole->data + at;
        at += FCGI_HEADER_LEN + ((size_t)header[4] << 8 | header[5]);
        for (uint8_t padding = 0; padding < 8; padding += 7) {
            struct bytes *bytes = bytes_new();
            bytes_add(bytes, whole->data, at);
            add_record(bytes, FCGI_ABORT_REQUEST, 1, "", 0, padding);
            client_send_all(client, bytes);
            expect_end(client, 1, FCGI_REQUEST_COMPLETE);
            client_send_from(client, whole, at); /* what was under way when it was aborted */
            expect_greeting(client, &kept);
        }
    }
    expect_unharmed(responder);
}

static void an_aborted_request_that_does_not_keep_its_connection_is_its_last(void **state)
{
    struct responder *responder = serve(state, 1);
    struct client *client = client_open(responder);
    struct bytes *bytes = bytes_new();
    add_begin(bytes, 1, FCGI_RESPONDER, 0, 0);
    add_record(bytes, FCGI_ABORT_REQUEST, 1, "", 0, 0);
    client_send_all(client, bytes);
    expect_end(client, 1, FCGI_REQUEST_COMPLETE);
    expect_closed(client);
    expect_unharmed(responder);
}

/* Of requests that are over and such as never began, before a request and behind it. */
static void records_of_requests_that_are_not_active_are_ignored(void **state)
{
    static const uint8_t types[] = {FCGI_ABORT_REQUEST, FCGI_END_REQUEST, FCGI_PARAMS, FCGI_STDIN,
                                    FCGI_STDOUT,        FCGI_DATA,        99};
    struct responder *responder = serve(state, 1);
    struct client *client = client_open(responder);
    for (size_t i = 0; i < 2 * sizeof(types); i++) {
        const size_t length = i % 2 ? 300 : 0;
        struct bytes *bytes = bytes_new();
        add_record(bytes, types[i / 2], i % 3 ? 1 : 7, "", 0, 0);
        add_record(bytes, types[i / 2], 1, request_bytes(&(struct request){.body = 300})->data,
                   length, (uint8_t)i);
        struct bytes *before = request_bytes(&kept);
        bytes_add(bytes, before->data, before->length);
        client_send_all(client, bytes);
        expect_answer(client, 200, "Hello World\n");
        struct bytes *behind = request_bytes(&kept);
        add_record(behind, types[i / 2], 1, "", 0, 0);
        client_send_all(client, behind);
        expect_answer(client, 200, "Hello World\n");
    }
    expect_unharmed(responder);
}

/* In the next tests the rest of the request does not come. */
static void a_begin_record_of_another_size_closes_the_connection(void **state)
{
    static const uint8_t content[64] = {0, FCGI_RESPONDER, FCGI_KEEP_CONN};
    static const size_t lengths[] = {0, 1, 7, 9, 16, 64};
    struct responder *responder = serve(state, 1);
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        struct bytes *bytes = bytes_new();
        add_record(bytes, FCGI_BEGIN_REQUEST, 1, content, lengths[i], 0);
        expect_refused(responder, bytes);
    }
    expect_unharmed(responder);
}

/* Behind each of a request's records but the last. */
static void an_unexpected_record_in_a_request_closes_the_connection(void **state)
{
    static const uint8_t types[] = {FCGI_BEGIN_REQUEST, FCGI_STDOUT, FCGI_DATA, 99};
    struct responder *responder = serve(state, 1);
    const struct bytes *whole = request_bytes(&(struct request){.keep = true, .body = 3});
    for (size_t at = 0; at < whole->length - FCGI_HEADER_LEN;) {
        const uint8_t *header = whole->data + at;
        at += FCGI_HEADER_LEN + ((size_t)header[4] << 8 | header[5]);
        for (size_t i = 0; i < sizeof(types); i++) {
            struct bytes *bytes = bytes_new();
            bytes_add(bytes, whole->data, at);
            add_record(bytes, types[i], 1, "", 0, 0);
            expect_refused(responder, bytes);
        }
    }
    expect_unharmed(responder);
}

/* --- More than one request at a time -------------------------------------------------------- */

static void a_multiplexed_request_is_refused_and_the_first_answered(void **state)
{
    struct responder *responder = serve(state, 1);
    struct client *client = client_open(responder);
    const struct bytes *first = request_bytes(&(struct request){.body = 4});
    struct bytes *bytes = bytes_new();
    bytes_add(bytes, first->data, sizeof(FCGI_BeginRequestRecord));
    add_begin(bytes, 2, FCGI_RESPONDER, 0, 0);
    bytes_add(bytes, first->data + sizeof(FCGI_BeginRequestRecord),
              first->length - sizeof(FCGI_BeginRequestRecord));
    client_send_all(client, bytes);
    expect_end(client, 2, FCGI_CANT_MPX_CONN);
    expect_answer(client, 200, "Hello World\n");
    expect_closed(client);
    expect_unharmed(responder);
}

/* libfcgi would skip the record behind an empty one of another request. */
static void a_multiplexed_request_takes_nothing_from_the_first(void **state)
{
    struct responder *responder = serve(state, 1);
    struct client *client = client_open(responder);
    const struct bytes *first = request_bytes(&(struct request){.body = 4});
    const struct bytes *second = request_bytes(&(struct request){.id = 2, .body = 5});
    const size_t stdin_begins = first->length - FCGI_HEADER_LEN - 4 - FCGI_HEADER_LEN;
    struct bytes *bytes = bytes_new();
    bytes_add(bytes, first->data, stdin_begins);
    bytes_add(bytes, second->data, second->length);
    bytes_add(bytes, first->data + stdin_begins, first->length - stdin_begins);
    client_send_all(client, bytes);
    expect_end(client, 2, FCGI_CANT_MPX_CONN);
    expect_answer(client, 200, "Hello World\n");
    expect_closed(client);
    expect_unharmed(responder);
}

/* How much of the second request comes with the first makes no difference. */
static void expect_both_answers(struct responder *responder, const struct request *first)
{
    const struct bytes *second = request_bytes(&kept);
    const size_t lengths[] = {second->length, second->length - 1, FCGI_HEADER_LEN, 1};
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        struct client *client = client_open(responder);
        struct bytes *bytes = request_bytes(first);
        bytes_add(bytes, second->data, lengths[i]);
        client_send_all(client, bytes);
        expect_answer(client, 200, "Hello World\n");
        client_send_from(client, second, lengths[i]);
        expect_answer(client, 200, "Hello World\n");
        expect_greeting(client, &kept);
    }
}

static void a_pipelined_request_is_answered_behind_the_first(void **state)
{
    struct responder *responder = serve(state, 1);
    expect_both_answers(responder, &kept);
    expect_both_answers(responder, &(struct request){.keep = true, .body = 100 * 1000});
    expect_unharmed(responder);
}

static void what_is_pipelined_behind_the_last_request_of_a_connection_is_not_answered(void **state)
{
    struct responder *responder = serve(state, 1);
    struct client *client = client_open(responder);
    struct bytes *bytes = request_bytes(&unkept);
    bytes_add(bytes, request_bytes(&kept)->data, request_bytes(&kept)->length);
    client_send_all(client, bytes);
    expect_answer(client, 200, "Hello World\n");
    expect_closed(client);
    expect_unharmed(responder);
}

/* --- Clients that go away, and clients that make no sense ----------------------------------- */

static void clients_that_close_in_the_middle_of_a_request_leave_nothing_behind(void **state)
{
    struct responder *responder = serve(state, 1);
    const struct bytes *bytes = request_bytes(&(struct request){.keep = true, .body = 20});
    for (size_t length = 0; length <= bytes->length; length++) {
        struct client *client = client_open(responder);
        client_send_until(client, bytes, length);
        client_close(client);
    }
    expect_unharmed(responder);
}

static void clients_that_close_in_the_middle_of_a_large_body_leave_nothing_behind(void **state)
{
    static const size_t lengths[] = {AT_ONCE - 1, AT_ONCE, AT_ONCE + 1, 100 * 1000, MIB};
    struct responder *responder = serve(state, 1);
    const struct bytes *bytes = request_bytes(&(struct request){.keep = true, .body = MIB});
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        struct client *client = client_open(responder);
        client_send_until(client, bytes, lengths[i]);
        client_close(client);
    }
    expect_unharmed(responder);
}

static void clients_that_close_without_reading_the_answer_leave_nothing_behind(void **state)
{
    struct responder *responder = serve(state, 1);
    for (int i = 0; i < 100; i++) {
        struct client *client = client_open(responder);
        client_ask(client, i % 2 ? &kept : &unkept);
        if (i % 3 == 0)
            await_read(client);
        client_close(client);
    }
    expect_unharmed(responder);
}

/* No further request can come on it. */
static void a_client_that_only_listens_any_more_is_answered_and_closed(void **state)
{
    struct responder *responder = serve(state, 1);
    struct client *client = client_open(responder);
    client_ask(client, &kept);
    shutdown(client->fd, SHUT_WR);
    expect_answer(client, 200, "Hello World\n");
    expect_closed(client);
    expect_unharmed(responder);
}

static void a_client_that_ends_a_half_sent_request_is_closed(void **state)
{
    struct responder *responder = serve(state, 1);
    const struct bytes *bytes = request_bytes(&kept);
    for (size_t length = 1; length < bytes->length; length += 7) {
        struct client *client = client_open(responder);
        client_send_until(client, bytes, length);
        shutdown(client->fd, SHUT_WR);
        expect_closed(client);
    }
    expect_unharmed(responder);
}

/* xorshift, so that every run sends the same */
static uint32_t random_below(uint32_t limit)
{
    static uint32_t seed = 20250123;
    seed ^= seed << 13;
    seed ^= seed >> 17;
    seed ^= seed << 5;
    return seed % limit;
}

/* A request in which a few bytes are others, some of it twice, and the end missing. */
static struct bytes *spoilt_request(void)
{
    struct bytes *bytes = request_bytes(&(struct request){.keep = random_below(2) == 0,
                                                          .padding = (uint8_t)random_below(9),
                                                          .pad_all = random_below(4) == 0,
                                                          .record_max = (uint16_t)random_below(50),
                                                          .body = random_below(200)});
    const uint32_t length = (uint32_t)bytes->length;
    for (uint32_t i = random_below(6); i > 0; i--)
        bytes->data[random_below(length)] = (uint8_t)random_below(256);
    if (random_below(4) == 0)
        bytes_add(bytes, request_bytes(&kept)->data, random_below(60));
    if (random_below(4) == 0)
        bytes->length = random_below(length);
    return bytes;
}

static void random_garbage_harms_nobody(void **state)
{
    struct responder *responder = serve(state, 2);
    for (int i = 0; i < 1000; i++) {
        struct client *client = client_open(responder);
        client_send_all(client, spoilt_request());
        if (i % 2 == 0)
            shutdown(client->fd, SHUT_WR);
        client_close(client);
    }
    expect_unharmed(responder);
}

/* Records that make sense one by one: of few ids, of any type, of the lengths that matter. */
static void add_random_record(struct bytes *bytes)
{
    static const uint16_t lengths[] = {0, 0, 0, 1, 8, 8, 30, 128, 129, 2000, 65535};
    static const uint8_t types[] = {FCGI_BEGIN_REQUEST, FCGI_ABORT_REQUEST, FCGI_PARAMS, FCGI_STDIN,
                                    FCGI_DATA,          FCGI_GET_VALUES,    99};
    static uint8_t content[65535] = {0, FCGI_RESPONDER};
    content[1] = random_below(5) ? FCGI_RESPONDER : (uint8_t)random_below(5);
    content[2] = (uint8_t)(random_below(5) > 0);
    const uint8_t type = types[random_below(sizeof(types))];
    const size_t length = type == FCGI_BEGIN_REQUEST && random_below(9) > 0
                              ? sizeof(FCGI_BeginRequestBody)
                              : lengths[random_below(sizeof(lengths) / sizeof(lengths[0]))];
    const uint16_t id = type == FCGI_GET_VALUES ? 0 : (uint16_t)(random_below(9) ? 1 : 2);
    add_record(bytes, type, id, content, length, (uint8_t)random_below(9));
}

/* In the order of requests, in another, in pieces, with ends in the middle. */
static void random_records_harm_nobody(void **state)
{
    struct responder *responder = serve(state, 2);
    for (int i = 0; i < 500; i++) {
        struct client *client = client_open(responder);
        struct bytes *bytes = bytes_new();
        for (uint32_t records = random_below(12); records > 0; records--)
            if (random_below(3) == 0)
                bytes_add(bytes, request_bytes(&kept)->data, request_bytes(&kept)->length);
            else
                add_random_record(bytes);
        for (size_t at = 0, piece; at < bytes->length; at += piece) {
            piece = 1 + random_below(random_below(2) ? 20 : 70000);
            piece = piece < bytes->length - at ? piece : bytes->length - at;
            client_send(client, bytes->data + at, piece);
        }
        if (i % 2 == 0)
            shutdown(client->fd, SHUT_WR);
        if (i % 50 == 0)
            expect_greeting(client_open(responder), &unkept);
        client_close(client);
    }
    expect_unharmed(responder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_wire(a_request_in_one_write_is_answered),
        cmocka_unit_test_wire(a_request_sent_one_byte_at_a_time_is_answered),
        cmocka_unit_test_wire(a_long_request_sent_one_byte_at_a_time_is_answered),
        cmocka_unit_test_wire(padding_behind_content_is_skipped),
        cmocka_unit_test_wire(padding_of_every_record_is_skipped),
        cmocka_unit_test_wire(padding_across_what_is_read_at_once_is_skipped),
        cmocka_unit_test_wire(parameters_over_many_records_are_put_together),
        cmocka_unit_test_wire(long_names_and_values_take_lengths_of_four_bytes),
        cmocka_unit_test_wire(short_names_and_values_may_take_lengths_of_four_bytes),
        cmocka_unit_test_wire(parameters_larger_than_64_KiB_are_read),
        cmocka_unit_test_wire(requests_around_64_KiB_are_answered),
        cmocka_unit_test_wire(the_answer_carries_the_id_of_the_request),
        cmocka_unit_test_wire(an_answer_without_a_body_is_whole),
        cmocka_unit_test_wire(a_request_without_parameters_is_refused),
        cmocka_unit_test_wire(a_body_of_exactly_1_MiB_is_read_to_its_end),
        cmocka_unit_test_wire(a_body_of_more_than_1_MiB_is_refused),
        cmocka_unit_test_wire(a_connection_is_closed_behind_a_body_that_is_refused),
        cmocka_unit_test_wire(a_body_that_is_not_as_long_as_declared_is_refused),
        cmocka_unit_test_wire(no_body_may_be_declared_as_an_empty_length),
        cmocka_unit_test_wire(a_body_does_not_reach_into_the_next_request),
        cmocka_unit_test_wire(values_are_told_at_once_and_the_connection_stays_usable),
        cmocka_unit_test_wire(a_management_record_sent_one_byte_at_a_time_is_answered),
        cmocka_unit_test_wire(management_records_and_a_request_in_one_write_are_all_answered),
        cmocka_unit_test_wire(repeated_names_are_answered_once),
        cmocka_unit_test_wire(names_that_are_cut_off_are_not_answered),
        cmocka_unit_test_wire(names_whose_length_is_wrong_are_not_answered),
        cmocka_unit_test_wire(an_oversize_management_record_closes_the_connection),
        cmocka_unit_test_wire(an_unknown_type_of_management_record_is_told),
        cmocka_unit_test_wire(a_management_record_in_the_middle_of_a_request_is_answered),
        cmocka_unit_test_wire(a_management_record_behind_64_KiB_of_a_request_kills_no_worker),
        cmocka_unit_test_wire(over_long_parameter_lengths_close_the_connection),
        cmocka_unit_test_wire(parameters_that_are_cut_off_close_the_connection),
        cmocka_unit_test_wire(parameters_without_an_end_delay_nobody),
        cmocka_unit_test_wire(garbage_closes_the_connection),
        cmocka_unit_test_wire(another_version_closes_the_connection),
        cmocka_unit_test_wire(a_request_in_another_role_is_refused_and_a_kept_connection_stays),
        cmocka_unit_test_wire(a_request_that_is_aborted_ends_and_a_kept_connection_stays),
        cmocka_unit_test_wire(an_aborted_request_that_does_not_keep_its_connection_is_its_last),
        cmocka_unit_test_wire(a_begin_record_of_another_size_closes_the_connection),
        cmocka_unit_test_wire(records_of_requests_that_are_not_active_are_ignored),
        cmocka_unit_test_wire(an_unexpected_record_in_a_request_closes_the_connection),
        cmocka_unit_test_wire(a_multiplexed_request_is_refused_and_the_first_answered),
        cmocka_unit_test_wire(a_multiplexed_request_takes_nothing_from_the_first),
        cmocka_unit_test_wire(a_pipelined_request_is_answered_behind_the_first),
        cmocka_unit_test_wire(
            what_is_pipelined_behind_the_last_request_of_a_connection_is_not_answered),
        cmocka_unit_test_wire(clients_that_close_in_the_middle_of_a_request_leave_nothing_behind),
        cmocka_unit_test_wire(
            clients_that_close_in_the_middle_of_a_large_body_leave_nothing_behind),
        cmocka_unit_test_wire(clients_that_close_without_reading_the_answer_leave_nothing_behind),
        cmocka_unit_test_wire(a_client_that_only_listens_any_more_is_answered_and_closed),
        cmocka_unit_test_wire(a_client_that_ends_a_half_sent_request_is_closed),
        cmocka_unit_test_wire(random_garbage_harms_nobody),
        cmocka_unit_test_wire(random_records_harm_nobody),
    };
    return cmocka_run_group_tests_name("records", tests, NULL, NULL);
}
