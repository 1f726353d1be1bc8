/* FastCGI records: however a stream is cut into pieces, the same arrives; and whatever is taken can
 * be handed on and answered within its bounds. The first byte of the input says how to cut. */
#include "record.h"
#include "core/request.h"
#include "property.h"

enum { ARRIVALS_MAX = 4096 };

struct seen {
    enum arrival arrival;
    size_t at; /* bytes taken up to there */
    size_t kept, body;
    uint16_t id;
};

struct history {
    struct seen seen[ARRIVALS_MAX];
    size_t count;
};

static void check_request(const struct incoming *incoming)
{
    static uint8_t room[REQUEST_SIZE_MAX];
    if (incoming_has_pairs(incoming))
        HOLDS(incoming_print(incoming, room + sizeof(room)) <= sizeof(room));
}

/* What has arrived. Returns whether more may come behind it. */
static bool note(struct history *history, struct incoming *incoming, enum arrival arrival,
                 size_t at)
{
    uint8_t answer[MANAGEMENT_SIZE];
    const bool too_long = incoming->body_length > BODY_MAX;
    if (arrival == ARRIVAL_PARTIAL)
        return true;
    if (arrival == ARRIVAL_REQUEST)
        check_request(incoming);
    if (arrival == ARRIVAL_MANAGEMENT)
        HOLDS(management_answer(incoming, 1024, answer) <= sizeof(answer));
    if (arrival == ARRIVAL_ENDED)
        HOLDS(ended_answer(incoming, answer) == END_SIZE);
    history->seen[history->count++] =
        (struct seen){arrival, too_long || arrival == ARRIVAL_INVALID ? 0 : at,
                      incoming->kept_length, too_long ? 0 : incoming->body_length,
                      arrival == ARRIVAL_ENDED ? incoming->ended.id : incoming->id};
    if (arrival == ARRIVAL_REQUEST)
        incoming_reset(incoming);
    return arrival != ARRIVAL_INVALID && !too_long && history->count < ARRIVALS_MAX;
}

/* Each piece lies where it ends, so that the sanitizers see whoever reads on. */
static bool take_piece(struct history *history, struct incoming *incoming, const uint8_t *piece,
                       size_t length, size_t at)
{
    uint8_t *bytes = (uint8_t *)string_of(piece, length);
    bool more = true;
    size_t used = 0;
    for (size_t taken = 0; more && taken < length; taken += used) {
        const enum arrival arrival = incoming_take(incoming, bytes + taken, length - taken, &used);
        HOLDS(used <= length - taken && (used > 0 || arrival == ARRIVAL_INVALID));
        more = note(history, incoming, arrival, at + taken + used);
    }
    free(bytes);
    return more;
}

/* In pieces of pseudo-random lengths up to most. */
static void take_all(struct history *history, const uint8_t *data, size_t size, size_t most,
                     uint32_t random)
{
    struct incoming incoming = {.stage = 0};
    history->count = 0;
    for (size_t at = 0, length; at < size; at += length) {
        random = random * 1664525 + 1013904223;
        length = 1 + (random >> 8) % most;
        length = length < size - at ? length : size - at;
        if (!take_piece(history, &incoming, data + at, length, at))
            break;
    }
    incoming_reset(&incoming);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const size_t most[] = {1, 2, 9, 300};
    static struct history whole, cut;
    struct incoming incoming = {.stage = 0};
    if (size < 2)
        return 0;
    whole.count = 0;
    (void)take_piece(&whole, &incoming, data + 1, size - 1, 0);
    incoming_reset(&incoming);
    take_all(&cut, data + 1, size - 1, most[data[0] % 4], data[0]);
    HOLDS(cut.count == whole.count);
    for (size_t i = 0; i < whole.count; i++)
        HOLDS(cut.seen[i].arrival == whole.seen[i].arrival && cut.seen[i].at == whole.seen[i].at &&
              cut.seen[i].kept == whole.seen[i].kept && cut.seen[i].body == whole.seen[i].body &&
              cut.seen[i].id == whole.seen[i].id);
    return 0;
}
