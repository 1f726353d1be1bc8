#include "environment.h"

#include "core/text.h"
#include "core/utf8.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    WORKERS_LEAST = 2,          /* of the default: while a worker is replaced another one answers */
    REQUEST_TIMEOUT_MAX = 3600, /* seconds */
    VALUE_SHOWN = 100           /* bytes of a value that is refused */
};

struct failure {
    char *problem;
    size_t size;
};

/* In ASCII and on one line, whatever the value holds. */
static bool refuse(struct failure failure, const char *variable, const char *value,
                   const char *allowed)
{
    char shown[VALUE_SHOWN * sizeof("\\xFF")] = "";
    char *end = shown;
    size_t i = 0;
    for (; i < VALUE_SHOWN && value[i]; i++)
        end += snprintf(end, sizeof("\\xFF"), value[i] < ' ' || value[i] > '~' ? "\\x%02X" : "%c",
                        (unsigned char)value[i]);
    snprintf(failure.problem, failure.size, "%s=\"%s%s\": must be %s", variable, shown,
             value[i] ? "..." : "", allowed);
    return false;
}

/* The CPUs that this process may run on. */
static int usable_cpus(void)
{
    cpu_set_t set;
    return sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
}

static int default_workers(void)
{
    const int cpus = usable_cpus();
    if (cpus < WORKERS_LEAST)
        return WORKERS_LEAST;
    return cpus > WORKERS_MAX ? WORKERS_MAX : cpus;
}

/* The settings. README and supervisor/settings.py say the same
 * (tests/supervisor/test_settings_table.py). */
static const struct setting {
    const char *name;
    size_t offset;              /* of its member: an int, or where it is a text, a string */
    int most, value;            /* of a number, which begins at 1: the largest, and the default */
    const char *const *choices; /* instead: then NULL; the value is a position in them */
    const char *allowed;        /* how they are told */
    const char *fallback, *meaning; /* the default and the rest in words; NULL: not told */
} table[] = {
#define SETTING(variable, member) .name = (variable), .offset = offsetof(struct settings, member)
#define CHOICES(...)                                                                               \
    .choices = (const char *const[])                                                               \
    {                                                                                              \
        __VA_ARGS__, NULL                                                                          \
    }
    {SETTING("GREETING", greeting), .fallback = "Hello", .meaning = "the word that greets"},
    {SETTING("GREETING_NAME", name), .fallback = "World",
     .meaning = "who is greeted without ?name="},
    {SETTING("WORKERS", workers), .most = WORKERS_MAX, .fallback = "the CPUs, at least 2",
     .meaning = "responder processes"},
    {SETTING("WAITING_WORKERS", waiting_workers), .most = WAITING_WORKERS_MAX, .value = 8,
     .fallback = "8",
     .meaning = "the same for routes that wait; none where there is no such route"},
    {SETTING("REQUEST_TIMEOUT", request_timeout), .most = REQUEST_TIMEOUT_MAX, .value = 4,
     .fallback = "4", .meaning = "seconds after which a worker that hangs is ended and replaced"},
    {SETTING("SANDBOX", sandbox), CHOICES("off", "on"), .value = 1, .allowed = "on or off",
     .fallback = "on",
     .meaning = "off: the responder keeps system calls and privileges that it does not need"},
    {SETTING("LOG_LEVEL", log_level), CHOICES("debug", "info", "warning", "error"),
     .value = LOG_INFO, .allowed = "debug, info, warning or error", .fallback = "info",
     .meaning = "debug logs every request that reaches the responder"},
    {SETTING("GOOGLE_CLOUD_PROJECT", project)},
    {SETTING("K_SERVICE", service)},
    {SETTING("K_REVISION", revision)},
    {SETTING("REGION", region)},
#undef SETTING
#undef CHOICES
};
enum { SETTINGS = sizeof(table) / sizeof(table[0]) };

static bool is_text(const struct setting *setting)
{
    return setting->most == 0 && !setting->choices;
}

static struct text add_allowed(const struct setting *setting, char *bytes, size_t size)
{
    struct text text = text_in(bytes, size);
    if (setting->allowed) {
        text_add(&text, setting->allowed);
    } else if (is_text(setting)) {
        text_add(&text, "1 to 64 characters");
    } else {
        text_add(&text, "a number from 1 to ");
        text_add_number(&text, (size_t)setting->most);
    }
    return text;
}

/* The number that value is, -1 where it is none that is allowed. */
static int number_of(const struct setting *setting, const char *value)
{
    if (setting->choices) {
        for (int i = 0; setting->choices[i]; i++)
            if (strcmp(value, setting->choices[i]) == 0)
                return i;
        return -1;
    }
    const size_t digits = strspn(value, "0123456789");
    const long number = strtol(value, NULL, 10);
    return digits > 0 && !value[digits] && number >= 1 && number <= setting->most ? (int)number
                                                                                  : -1;
}

static bool read_setting(const struct setting *setting, void *member, struct failure failure)
{
    char bytes[128];
    const char *value = getenv(setting->name);
    if (!value)
        return true;
    struct text allowed = add_allowed(setting, bytes, sizeof(bytes));
    if (!is_text(setting)) {
        const int number = number_of(setting, value);
        memcpy(member, &number, sizeof(number));
        return number >= 0 || refuse(failure, setting->name, value, allowed.bytes);
    }
    memcpy(member, &value, sizeof(value));
    if (!utf8_is_blank(value) && utf8_check(value, NAME_MAX_CODE_POINTS) == UTF8_OK)
        return true;
    text_add(&allowed, " of UTF-8, not all blank, without control characters");
    return refuse(failure, setting->name, value, allowed.bytes);
}

bool settings_read(struct settings *settings, char *problem, size_t size)
{
    bool ok = true;
    *settings = (struct settings){.greeting = NULL};
    for (const struct setting *setting = table; ok && setting < table + SETTINGS; setting++) {
        char *member = (char *)settings + setting->offset;
        if (!is_text(setting))
            memcpy(member, &setting->value, sizeof(setting->value));
        ok = read_setting(setting, member, (struct failure){problem, size});
    }
    if (settings->workers == 0)
        settings->workers = default_workers();
    return ok;
}

void settings_tell(FILE *out)
{
    for (const struct setting *setting = table; setting < table + SETTINGS; setting++) {
        char bytes[128];
        if (setting->meaning)
            fprintf(out, "  %-16s %s (%s): %s\n", setting->name,
                    add_allowed(setting, bytes, sizeof(bytes)).bytes, setting->fallback,
                    setting->meaning);
    }
}

/* Compared by length first: most variables are none of these, and this runs for every request. */
struct request request_from(char *const *variables)
{
    static const struct {
        const char *name;
        size_t length, offset;
    } members[] = {
#define MEMBER(name, member) {name, sizeof(name) - 1, offsetof(struct request, member)}
        MEMBER("REQUEST_METHOD", method),
        MEMBER("REQUEST_URI", target),
        MEMBER("HTTP_ACCEPT", accept),
        MEMBER("HTTP_ACCEPT_LANGUAGE", accept_language),
        MEMBER("HTTP_IF_MATCH", if_match),
        MEMBER("HTTP_IF_NONE_MATCH", if_none_match),
        MEMBER("CONTENT_LENGTH", content_length),
        MEMBER("CONTENT_TYPE", content_type),
        MEMBER("HTTP_CONTENT_ENCODING", content_encoding),
        MEMBER("HTTP_TRACEPARENT", traceparent),
        MEMBER("HTTP_X_CLOUD_TRACE_CONTEXT", cloud_trace_context),
        MEMBER("HTTP_X_REQUEST_ID", request_id),
        MEMBER("METRICS", metrics),
#undef MEMBER
    };
    struct request request = {.method = "", .target = "", .body = ""};
    for (; *variables; variables++) {
        const char *value = strchr(*variables, '=');
        const size_t length = value ? (size_t)(value - *variables) : 0;
        for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
            if (length == members[i].length && memcmp(*variables, members[i].name, length) == 0)
                *(const char **)((char *)&request + members[i].offset) = value + 1;
    }
    return request;
}
