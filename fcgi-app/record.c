#include "record.h"

#include <fastcgi.h>
#include <stdio.h>
#include <string.h>

_Static_assert(RECORD_HEADER_SIZE == FCGI_HEADER_LEN, "the header of a record");

struct header {
    uint8_t version, type;
    unsigned id, content, padding;
};

static struct header read_header(const uint8_t *bytes)
{
    return (struct header){
        .version = bytes[0],
        .type = bytes[1],
        .id = (unsigned)bytes[2] << 8 | bytes[3],
        .content = (unsigned)bytes[4] << 8 | bytes[5],
        .padding = bytes[6],
    };
}

static size_t record_length(const struct header *header)
{
    return RECORD_HEADER_SIZE + header->content + header->padding;
}

static enum arrival scan_management(const struct header *header, size_t length, size_t *used)
{
    if (header->content > MANAGEMENT_CONTENT_MAX)
        return ARRIVAL_INVALID;
    *used = record_length(header);
    return *used <= length ? ARRIVAL_MANAGEMENT : ARRIVAL_PARTIAL;
}

/* Records that libfcgi takes care of behind FCGI_BEGIN_REQUEST: the request's own streams, and
 * other requests on the same connection, which it refuses (FCGI_CANT_MPX_CONN). */
static bool may_follow(const struct header *header, unsigned id)
{
    if (header->version != FCGI_VERSION_1 || header->id == FCGI_NULL_REQUEST_ID)
        return false;
    return header->id != id || header->type == FCGI_PARAMS || header->type == FCGI_STDIN;
}

/* Walks a request's records up to the empty FCGI_STDIN record that ends it. */
static enum arrival scan_request(const uint8_t *bytes, size_t length, size_t *used)
{
    const struct header begin = read_header(bytes);
    size_t at = record_length(&begin);
    while (at + RECORD_HEADER_SIZE <= length) {
        const struct header header = read_header(bytes + at);
        if (!may_follow(&header, begin.id))
            return ARRIVAL_INVALID;
        at += record_length(&header);
        if (header.id != begin.id || header.type != FCGI_STDIN || header.content > 0)
            continue;
        *used = at;
        return at <= length ? ARRIVAL_REQUEST : ARRIVAL_PARTIAL;
    }
    return ARRIVAL_PARTIAL;
}

enum arrival record_scan(const uint8_t *bytes, size_t length, size_t *used)
{
    if (length < RECORD_HEADER_SIZE)
        return ARRIVAL_PARTIAL;
    const struct header first = read_header(bytes);
    if (first.version != FCGI_VERSION_1)
        return ARRIVAL_INVALID;
    if (first.id == FCGI_NULL_REQUEST_ID)
        return scan_management(&first, length, used);
    if (first.type != FCGI_BEGIN_REQUEST || first.content != sizeof(FCGI_BeginRequestBody))
        return ARRIVAL_INVALID;
    if (length < sizeof(FCGI_BeginRequestRecord))
        return ARRIVAL_PARTIAL;
    const uint8_t *role = bytes + RECORD_HEADER_SIZE;
    if (role[0] != 0 || role[1] != FCGI_RESPONDER)
        return ARRIVAL_INVALID;
    return scan_request(bytes, length, used);
}

static size_t write_header(uint8_t *record, uint8_t type, size_t content)
{
    const uint8_t header[RECORD_HEADER_SIZE] = {
        FCGI_VERSION_1, type, 0, 0, (uint8_t)(content >> 8), (uint8_t)content, 0, 0};
    memcpy(record, header, sizeof(header));
    return sizeof(header) + content;
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
    return write_header(answer, FCGI_GET_VALUES_RESULT, content);
}

size_t management_answer(const uint8_t *record, unsigned connections,
                         uint8_t answer[MANAGEMENT_SIZE])
{
    const uint8_t type = read_header(record).type;
    if (type == FCGI_GET_VALUES)
        return answer_values(record, connections, answer);
    const uint8_t body[sizeof(FCGI_UnknownTypeBody)] = {type};
    memcpy(answer + RECORD_HEADER_SIZE, body, sizeof(body));
    return write_header(answer, FCGI_UNKNOWN_TYPE, sizeof(body));
}
