#include "log.h"

#include "core/text.h"
#include "core/utf8.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

/* PIPE_BUF, the most that a pipe takes without mixing it with other writers' lines, is 4096. */
enum { MESSAGE_SIZE = 1024, LINE_SIZE = 4096 };

static enum log_level lowest = LOG_INFO;

void log_open(enum log_level level)
{
    lowest = level;
}

/* JSON cannot hold anything but UTF-8, and needs six bytes for a control character; a message may
 * quote what a client sent. */
static void make_printable(char *message)
{
    if (utf8_check(message, SIZE_MAX) != UTF8_OK)
        for (; *message; message++)
            if (*message < ' ' || *message > '~')
                *message = '?';
}

void log_line(enum log_level level, const char *format, ...)
{
    /* Cloud Logging's LogSeverity names */
    static const char *const severities[LOG_LEVELS] = {"DEBUG", "INFO", "WARNING", "ERROR"};
    if (level < lowest)
        return;
    char message[MESSAGE_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    make_printable(message);
    char bytes[LINE_SIZE];
    struct text line = text_in(bytes, sizeof(bytes));
    text_add_json(&line,
                  json_pack("{s:s, s:s}", "severity", severities[level], "message", message));
    if (!line.overflowed && write(STDERR_FILENO, line.bytes, line.length) < 0)
        return; /* a log that cannot be written has no place left to say so */
}
