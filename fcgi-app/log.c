#include "log.h"

#include "core/text.h"
#include "core/trace.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum {
    LINE_SIZE = 4096,
    TRACE_NAME_SIZE = 32 + NAME_MAX_CODE_POINTS * 4 + TRACE_DIGITS /* UTF-8 takes up to 4 bytes */
};
_Static_assert(LINE_SIZE <= PIPE_BUF, "a pipe takes a line without mixing it with others");

static enum log_format lines = LOG_JSON;
static enum log_level lowest = LOG_INFO;
static const char *project;

void log_form(enum log_format form)
{
    lines = form;
}

/* tzset: gmtime_r reads the system's time zone when it is first called, and a worker may no longer
 * open files by then. */
void log_open(const struct settings *settings)
{
    lowest = settings->log_level;
    project = settings->project;
    tzset();
}

bool log_shows(enum log_level level)
{
    return level >= lowest;
}

static void add_member(struct text *line, const char *name, const char *value)
{
    text_add(line, "\"");
    text_add(line, name);
    text_add(line, "\":\"");
    text_add_escaped(line, value, ESCAPE_JSON, line->size);
    text_add(line, "\",");
}

static void add_time(struct text *line)
{
    struct timespec now;
    struct tm utc;
    char seconds[sizeof("-2147481748-12-31T23:59:59")], time[64];
    clock_gettime(CLOCK_REALTIME, &now);
    strftime(seconds, sizeof(seconds), "%FT%T", gmtime_r(&now.tv_sec, &utc));
    snprintf(time, sizeof(time), "%s.%06ldZ", seconds, now.tv_nsec / 1000);
    add_member(line, "time", time);
}

static void add_request(struct text *line, const struct request *request)
{
    const char *id = request_id_of(request);
    const struct trace trace = trace_of(request);
    char name[TRACE_NAME_SIZE];
    if (id)
        add_member(line, "request_id", id);
    if (!*trace.id)
        return;
    snprintf(name, sizeof(name), project ? "projects/%s/traces/%s" : "%s%s", project ? project : "",
             trace.id);
    add_member(line, "logging.googleapis.com/trace", name);
    if (*trace.span)
        add_member(line, "logging.googleapis.com/spanId", trace.span);
    text_add(line, "\"logging.googleapis.com/trace_sampled\":");
    text_add(line, trace.sampled ? "true," : "false,");
}

static void add_json(struct text *line, enum log_level level, const struct request *request,
                     const char *message)
{
    /* Cloud Logging's LogSeverity names */
    static const char *const severities[LOG_LEVELS] = {"DEBUG", "INFO", "WARNING", "ERROR"};
    text_add(line, "{");
    add_member(line, "severity", severities[level]);
    add_time(line);
    add_member(line, "component", "responder");
    text_add(line, "\"pid\":");
    text_add_number(line, (size_t)getpid());
    text_add(line, ",");
    if (request)
        add_request(line, request);
    text_add(line, "\"message\":\"");
    text_add_escaped(line, message, ESCAPE_JSON, line->size - sizeof("\"}\n"));
    text_add(line, "\"}\n");
}

static void add_text(struct text *line, const char *message)
{
    text_add(line, "responder: ");
    text_add_escaped(line, message, ESCAPE_TEXT, line->size - sizeof("\n"));
    text_add(line, "\n");
}

/* The message is cut when it is escaped, which makes none shorter, so that here none is. */
__attribute__((format(printf, 3, 0))) static void write_line(enum log_level level,
                                                             const struct request *request,
                                                             const char *format, va_list arguments)
{
    char message[LINE_SIZE], bytes[LINE_SIZE];
    if (!log_shows(level))
        return;
    vsnprintf(message, sizeof(message), format, arguments);
    struct text line = text_in(bytes, sizeof(bytes));
    if (lines == LOG_JSON)
        add_json(&line, level, request, message);
    else
        add_text(&line, message);
    if (write(STDERR_FILENO, line.bytes, line.length) < 0)
        return; /* a log that cannot be written has no place left to say so */
}

void log_line(enum log_level level, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    write_line(level, NULL, format, arguments);
    va_end(arguments);
}

void log_request(enum log_level level, const struct request *request, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    write_line(level, request, format, arguments);
    va_end(arguments);
}
