#include "record.h"

#include <fastcgi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(RECORD_HEADER_SIZE == FCGI_HEADER_LEN, "the header of a record");

enum {
    BEGIN_SIZE = sizeof(FCGI_BeginRequestRecord),
    KEPT_FIRST = 480 /* room at first: most requests fit and need no second allocation */
};

struct header {
    uint8_t version, type;
    uint16_t id;
    unsigned content, padding;
};

static struct header read_header(const uint8_t *bytes)
{
    return (struct header){
        .version = bytes[0],
        .type = bytes[1],
        .id = (uint16_t)(bytes[2] << 8 | bytes[3]),
        .content = (unsigned)bytes[4] << 8 | bytes[5],
        .padding = bytes[6],
    };
}

static size_t write_header(uint8_t *record, uint8_t type, uint16_t id, size_t content)
{
    const uint8_t header[RECORD_HEADER_SIZE] = {FCGI_VERSION_1,
                                                type,
                                                (uint8_t)(id >> 8),
                                                (uint8_t)id,
                                                (uint8_t)(content >> 8),
                                                (uint8_t)content,
                                                0,
                                                0};
    memcpy(record, header, sizeof(header));
    return sizeof(header) + content;
}

/* --- What arrives --------------------------------------------------------------------------- */

/* Whether a web server sends such a record next. Records of other requests than the one that has
 * begun may come at any time (section 3.3): they are skipped. */
static bool is_expected(const struct incoming *incoming, const struct header *header)
{
    if (header->version != FCGI_VERSION_1)
        return false;
    if (header->id == FCGI_NULL_REQUEST_ID)
        return header->content <= MANAGEMENT_CONTENT_MAX;
    if (header->id == incoming->id)
        return header->type == incoming->stage || header->type == FCGI_ABORT_REQUEST;
    return incoming->stage != 0 || header->type != FCGI_BEGIN_REQUEST ||
           header->content == sizeof(FCGI_BeginRequestBody);
}

/* A record of which the header is kept, too. */
static bool is_kept_whole(const struct incoming *incoming, const struct header *header)
{
    return header->id == FCGI_NULL_REQUEST_ID ||
           (incoming->stage == 0 && header->type == FCGI_BEGIN_REQUEST);
}

/* Of a body all or nothing of a record, so that what is kept of it has no gaps. */
static bool is_kept(const struct incoming *incoming, const struct header *header)
{
    if (header->id != incoming->id || is_kept_whole(incoming, header))
        return is_kept_whole(incoming, header);
    return header->type == FCGI_PARAMS ||
           (header->type == FCGI_STDIN &&
            incoming->body_length + incoming->content <= BODY_KEPT_MAX);
}

/* Makes room for so many bytes more. */
static bool reserve(struct incoming *incoming, size_t more)
{
    const size_t wanted = incoming->kept_length + more;
    if (wanted > PARAMS_MAX + (incoming->stage == FCGI_STDIN ? BODY_KEPT_MAX + MANAGEMENT_SIZE : 0))
        return false;
    if (wanted <= incoming->kept_size)
        return true;
    const size_t size = 2 * wanted + KEPT_FIRST;
    uint8_t *kept = realloc(incoming->kept, size);
    if (!kept)
        return false;
    incoming->kept = kept;
    incoming->kept_size = size;
    return true;
}

static void keep(struct incoming *incoming, const uint8_t *bytes, size_t length)
{
    memcpy(incoming->kept + incoming->kept_length, bytes, length);
    incoming->kept_length += length;
}

/* The header of a record is there. */
static bool begin_record(struct incoming *incoming)
{
    const struct header header = read_header(incoming->header);
    if (!is_expected(incoming, &header))
        return false;
    incoming->content = header.content;
    incoming->padding = header.padding;
    if (!is_kept(incoming, &header))
        return true;
    if (!reserve(incoming, RECORD_HEADER_SIZE + header.content))
        return false;
    if (is_kept_whole(incoming, &header))
        keep(incoming, incoming->header, RECORD_HEADER_SIZE);
    return true;
}

bool incoming_keeps(const struct incoming *incoming)
{
    return incoming->kept[RECORD_HEADER_SIZE + offsetof(FCGI_BeginRequestBody, flags)] &
           FCGI_KEEP_CONN;
}

static enum arrival end(struct incoming *incoming, uint16_t id, uint8_t status, bool keeps)
{
    incoming->ended.id = id;
    incoming->ended.status = status;
    incoming->ended.keeps = keeps;
    return ARRIVAL_ENDED;
}

/* The request that has begun is over. What comes of it from now on is skipped. */
static enum arrival end_request(struct incoming *incoming, uint16_t id, uint8_t status)
{
    const bool keeps = incoming_keeps(incoming);
    incoming->stage = 0;
    incoming->id = FCGI_NULL_REQUEST_ID;
    incoming->body_length = 0;
    incoming->kept_length = 0;
    return end(incoming, id, status, keeps);
}

static enum arrival begin_request(struct incoming *incoming, uint16_t id)
{
    const uint8_t *role = incoming->kept + RECORD_HEADER_SIZE;
    if (role[0] != 0 || role[1] != FCGI_RESPONDER)
        return end_request(incoming, id, FCGI_UNKNOWN_ROLE);
    incoming->id = id;
    incoming->stage = FCGI_PARAMS;
    return ARRIVAL_PARTIAL;
}

/* A record of another request than the one that has begun. */
static enum arrival end_foreign(struct incoming *incoming, const struct header *header)
{
    if (header->type != FCGI_BEGIN_REQUEST)
        return ARRIVAL_PARTIAL;
    return incoming->stage == 0 ? begin_request(incoming, header->id)
                                : end(incoming, header->id, FCGI_CANT_MPX_CONN, true);
}

/* All of a record is there. An empty one ends its stream. A management record stays where it is,
 * until more is kept. */
static enum arrival end_record(struct incoming *incoming)
{
    const struct header header = read_header(incoming->header);
    incoming->header_length = 0;
    if (header.id == FCGI_NULL_REQUEST_ID) {
        incoming->kept_length -= RECORD_HEADER_SIZE + header.content;
        return ARRIVAL_MANAGEMENT;
    }
    if (header.id != incoming->id)
        return end_foreign(incoming, &header);
    if (header.type == FCGI_ABORT_REQUEST)
        return end_request(incoming, header.id, FCGI_REQUEST_COMPLETE);
    if (header.content > 0)
        return ARRIVAL_PARTIAL;
    if (incoming->stage == FCGI_STDIN)
        return ARRIVAL_REQUEST;
    incoming->stage = FCGI_STDIN;
    incoming->params_end = incoming->kept_length;
    return ARRIVAL_PARTIAL;
}

/* What is there of a field of that size; the field gets smaller by it. */
static size_t consume(unsigned *field, size_t length)
{
    const size_t count = *field < length ? *field : length;
    *field -= (unsigned)count;
    return count;
}

static size_t take_header(struct incoming *incoming, const uint8_t *bytes, size_t length)
{
    unsigned missing = RECORD_HEADER_SIZE - (unsigned)incoming->header_length;
    const size_t count = consume(&missing, length);
    memcpy(incoming->header + incoming->header_length, bytes, count);
    incoming->header_length = (uint8_t)(incoming->header_length + count);
    return count;
}

static size_t take_content(struct incoming *incoming, const uint8_t *bytes, size_t length)
{
    const struct header header = read_header(incoming->header);
    const bool kept = is_kept(incoming, &header);
    const size_t count = consume(&incoming->content, length);
    if (kept)
        keep(incoming, bytes, count);
    if (header.id == incoming->id && header.type == FCGI_STDIN)
        incoming->body_length += count;
    return count + consume(&incoming->padding, length - count);
}

enum arrival incoming_take(struct incoming *incoming, const uint8_t *bytes, size_t length,
                           size_t *used)
{
    enum arrival arrival = ARRIVAL_PARTIAL;
    *used = 0;
    while (arrival == ARRIVAL_PARTIAL && *used < length) {
        if (incoming->header_length < RECORD_HEADER_SIZE) {
            *used += take_header(incoming, bytes + *used, length - *used);
            if (incoming->header_length < RECORD_HEADER_SIZE)
                break;
            if (!begin_record(incoming))
                return ARRIVAL_INVALID;
        }
        *used += take_content(incoming, bytes + *used, length - *used);
        if (incoming->body_length > BODY_MAX)
            arrival = ARRIVAL_REQUEST;
        else if (incoming->content == 0 && incoming->padding == 0)
            arrival = end_record(incoming);
    }
    return arrival;
}

bool incoming_is_empty(const struct incoming *incoming)
{
    return incoming->stage == 0 && incoming->header_length == 0;
}

bool incoming_awaits_body(const struct incoming *incoming)
{
    return incoming->stage == FCGI_STDIN;
}

void incoming_reset(struct incoming *incoming)
{
    free(incoming->kept);
    *incoming = (struct incoming){.stage = 0};
}

/* --- What libfcgi gets ---------------------------------------------------------------------- */

/* The length at *at, of one byte or of four; *at then stands behind it. */
static bool read_length(const uint8_t **at, const uint8_t *end, size_t *length)
{
    if (*at == end)
        return false;
    *length = *(*at)++;
    if (*length < 0x80)
        return true;
    if (end - *at < 3)
        return false;
    *length = (*length & 0x7F) << 24 | (size_t)(*at)[0] << 16 | (size_t)(*at)[1] << 8 | (*at)[2];
    *at += 3;
    return true;
}

bool incoming_has_pairs(const struct incoming *incoming)
{
    const uint8_t *at = incoming->kept + BEGIN_SIZE;
    const uint8_t *end = incoming->kept + incoming->params_end;
    while (at < end) {
        size_t name, value;
        if (!read_length(&at, end, &name) || !read_length(&at, end, &value) ||
            name + value > (size_t)(end - at))
            return false;
        at += name + value;
    }
    return true;
}

/* A stream, with the empty record that ends it in front of end. Returns where it begins. */
static uint8_t *print_stream(uint8_t *end, uint8_t type, uint16_t id, const uint8_t *bytes,
                             size_t left)
{
    uint8_t *start = end - RECORD_HEADER_SIZE;
    (void)write_header(start, type, id, 0);
    while (left > 0) {
        const size_t content = left < FCGI_MAX_LENGTH ? left : FCGI_MAX_LENGTH;
        left -= content;
        start -= RECORD_HEADER_SIZE + content;
        (void)write_header(start, type, id, content);
        memcpy(start + RECORD_HEADER_SIZE, bytes + left, content);
    }
    return start;
}

size_t incoming_print(const struct incoming *incoming, uint8_t *end)
{
    const uint8_t *body = incoming->kept + incoming->params_end;
    const size_t length = incoming->body_length > BODY_KEPT_MAX ? 0 : incoming->body_length;
    uint8_t *start = print_stream(end, FCGI_STDIN, incoming->id, body, length);
    start = print_stream(start, FCGI_PARAMS, incoming->id, incoming->kept + BEGIN_SIZE,
                         incoming->params_end - BEGIN_SIZE);
    start -= BEGIN_SIZE;
    memcpy(start, incoming->kept, BEGIN_SIZE);
    start[offsetof(FCGI_Header, paddingLength)] = 0;
    return (size_t)(end - start);
}

/* --- What is answered without libfcgi ------------------------------------------------------- */

static size_t write_end(uint8_t *record, uint16_t id, uint8_t status)
{
    const FCGI_EndRequestBody body = {.protocolStatus = status};
    memcpy(record + RECORD_HEADER_SIZE, &body, sizeof(body));
    return write_header(record, FCGI_END_REQUEST, id, sizeof(body));
}

size_t ended_answer(const struct incoming *incoming, uint8_t answer[END_SIZE])
{
    return write_end(answer, incoming->ended.id, incoming->ended.status);
}

/* Whether a FCGI_GET_VALUES record asks for name. Its content is a list of name-value pairs with
 * empty values (section 3.4); lengths of four bytes cannot occur in so short a record. */
static bool asks_for(const uint8_t *record, const char *name)
{
    const size_t length = read_header(record).content;
    const uint8_t *content = record + RECORD_HEADER_SIZE;
    for (size_t at = 0; at + 2 <= length; at += 2U + content[at] + content[at + 1])
        if (content[at] == strlen(name) && at + 2 + content[at] <= length &&
            memcmp(content + at + 2, name, content[at]) == 0)
            return true;
    return false;
}

static size_t add_pair(uint8_t *content, const char *name, unsigned value)
{
    char pair[64];
    char digits[12];
    const int value_length = snprintf(digits, sizeof(digits), "%u", value);
    const int length = snprintf(pair, sizeof(pair), "%c%c%s%s", (char)strlen(name),
                                (char)value_length, name, digits);
    memcpy(content, pair, (size_t)length);
    return (size_t)length;
}

static size_t answer_values(const uint8_t *record, unsigned connections, uint8_t *answer)
{
    const struct {
        const char *name;
        unsigned value;
    } values[] = {
        {FCGI_MAX_CONNS, connections}, {FCGI_MAX_REQS, connections}, {FCGI_MPXS_CONNS, 0}};
    size_t content = 0;
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
        if (asks_for(record, values[i].name))
            content +=
                add_pair(answer + RECORD_HEADER_SIZE + content, values[i].name, values[i].value);
    return write_header(answer, FCGI_GET_VALUES_RESULT, FCGI_NULL_REQUEST_ID, content);
}

static size_t write_unknown(uint8_t *record, uint8_t type)
{
    const uint8_t body[sizeof(FCGI_UnknownTypeBody)] = {type};
    memcpy(record + RECORD_HEADER_SIZE, body, sizeof(body));
    return write_header(record, FCGI_UNKNOWN_TYPE, FCGI_NULL_REQUEST_ID, sizeof(body));
}

size_t management_answer(const struct incoming *incoming, unsigned connections,
                         uint8_t answer[MANAGEMENT_SIZE])
{
    const uint8_t *record = incoming->kept + incoming->kept_length;
    const uint8_t type = read_header(record).type;
    return type == FCGI_GET_VALUES ? answer_values(record, connections, answer)
                                   : write_unknown(answer, type);
}

/* --- What is answered with libfcgi ---------------------------------------------------------- */

size_t answer_wrap(uint8_t *records, size_t length, uint16_t id)
{
    const size_t count = (length + OUTPUT_CONTENT_MAX - 1) / OUTPUT_CONTENT_MAX;
    for (size_t i = count; i-- > 0;) {
        uint8_t *record = records + i * (RECORD_HEADER_SIZE + OUTPUT_CONTENT_MAX);
        const size_t from = i * OUTPUT_CONTENT_MAX;
        const size_t left = length - from;
        const size_t content = left < OUTPUT_CONTENT_MAX ? left : OUTPUT_CONTENT_MAX;
        if (i > 0)
            memmove(record + RECORD_HEADER_SIZE, records + RECORD_HEADER_SIZE + from, content);
        (void)write_header(record, FCGI_STDOUT, id, content);
    }
    uint8_t *end = records + length + count * RECORD_HEADER_SIZE;
    end += write_header(end, FCGI_STDOUT, id, 0);
    end += write_end(end, id, FCGI_REQUEST_COMPLETE);
    return (size_t)(end - records);
}

size_t farewell(uint8_t record[FAREWELL_SIZE])
{
    return write_unknown(record, 0);
}
