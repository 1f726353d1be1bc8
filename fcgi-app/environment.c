#include "environment.h"

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

/* A piece of text for the greeting, absent where the variable is not set. */
static bool read_text(const char *variable, const char **text, struct failure failure)
{
    const char *value = getenv(variable);
    if (!value)
        return true;
    if (utf8_is_blank(value) || utf8_check(value, NAME_MAX_CODE_POINTS) != UTF8_OK)
        return refuse(failure, variable, value,
                      "1 to 64 characters of UTF-8, not all blank, without control characters");
    *text = value;
    return true;
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

static bool read_number(const char *variable, int most, int *number, struct failure failure)
{
    const char *value = getenv(variable);
    if (!value)
        return true;
    const size_t digits = strspn(value, "0123456789");
    const long read = strtol(value, NULL, 10);
    char allowed[32];
    snprintf(allowed, sizeof(allowed), "a number from 1 to %d", most);
    if (digits == 0 || value[digits] || read < 1 || read > most)
        return refuse(failure, variable, value, allowed);
    *number = (int)read;
    return true;
}

/* The position of a variable's value in names; *choice is left alone where it is not set. */
static bool read_choice(const char *variable, const char *const names[], int count,
                        const char *allowed, int *choice, struct failure failure)
{
    const char *value = getenv(variable);
    if (!value)
        return true;
    for (int i = 0; i < count; i++) {
        if (strcmp(value, names[i]) == 0) {
            *choice = i;
            return true;
        }
    }
    return refuse(failure, variable, value, allowed);
}

static bool read_log_level(enum log_level *level, struct failure failure)
{
    static const char *const names[LOG_LEVELS] = {"debug", "info", "warning", "error"};
    int choice = LOG_INFO;
    const bool ok = read_choice("LOG_LEVEL", names, LOG_LEVELS, "debug, info, warning or error",
                                &choice, failure);
    *level = (enum log_level)choice;
    return ok;
}

static bool read_sandbox(bool *sandbox, struct failure failure)
{
    static const char *const names[] = {"off", "on"};
    int choice = *sandbox;
    const bool ok = read_choice("SANDBOX", names, 2, "on or off", &choice, failure);
    *sandbox = choice == 1;
    return ok;
}

bool settings_read(struct settings *settings, char *problem, size_t size)
{
    const struct failure failure = {problem, size};
    *settings = (struct settings){
        .workers = default_workers(), .waiting_workers = 8, .request_timeout = 4, .sandbox = true};
    return read_text("GREETING", &settings->greeting, failure) &&
           read_text("GREETING_NAME", &settings->name, failure) &&
           read_text("K_SERVICE", &settings->service, failure) &&
           read_text("K_REVISION", &settings->revision, failure) &&
           read_text("REGION", &settings->region, failure) &&
           read_text("GOOGLE_CLOUD_PROJECT", &settings->project, failure) &&
           read_number("WORKERS", WORKERS_MAX, &settings->workers, failure) &&
           read_number("WAITING_WORKERS", WAITING_WORKERS_MAX, &settings->waiting_workers,
                       failure) &&
           read_number("REQUEST_TIMEOUT", REQUEST_TIMEOUT_MAX, &settings->request_timeout,
                       failure) &&
           read_sandbox(&settings->sandbox, failure) &&
           read_log_level(&settings->log_level, failure);
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
