/* What is about a request in the log: traceparent, X-Cloud-Trace-Context, X-Request-Id, and text
 * that a client sent. Each on a line of the input. */
#include "property.h"

#include "core/text.h"
#include "core/trace.h"
#include "core/utf8.h"

static void check_trace(const struct trace *trace)
{
    HOLDS(strspn(trace->id, "0123456789abcdef") == (*trace->id ? TRACE_DIGITS : 0));
    HOLDS(strspn(trace->span, "0123456789abcdef") == (*trace->span ? SPAN_DIGITS : 0));
    HOLDS(!trace->id[strspn(trace->id, "0")] == !*trace->id);
    HOLDS(*trace->id || (!*trace->span && !trace->sampled));
}

/* A JSON string that means the same, as far as it was UTF-8 and fitted. */
static void check_escaped(const char *string)
{
    char bytes[512] = "\"";
    struct text text = text_in(bytes, sizeof(bytes));
    text_add(&text, "\"");
    text_add_escaped(&text, string, ESCAPE_JSON, sizeof(bytes) - 2);
    text_add(&text, "\"");
    HOLDS(!text.overflowed);
    json_t *json = json_loads(bytes, JSON_DECODE_ANY, NULL);
    HOLDS(json_is_string(json));
    const enum utf8_fault fault = utf8_check(bytes, SIZE_MAX);
    HOLDS(fault == UTF8_OK || fault == UTF8_NONCHARACTER);
    json_t *same = json_string(string); /* NULL where it is no UTF-8 */
    if (same && strlen(string) * 6 < sizeof(bytes) - 2)
        HOLDS(json_equal(json, same));
    json_decref(same);
    json_decref(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *lines = string_of(data, size), *rest = lines;
    struct request request = {.method = ""};
    request.traceparent = strsep(&rest, "\n");
    request.cloud_trace_context = strsep(&rest, "\n");
    request.request_id = strsep(&rest, "\n");
    const struct trace trace = trace_of(&request);
    check_trace(&trace);
    const char *id = request_id_of(&request);
    HOLDS(!id ||
          (id == request.request_id && strlen(id) <= REQUEST_ID_MAX && !strpbrk(id, "\"<&")));
    check_escaped(rest ? rest : "");
    free(lines);
    return 0;
}
