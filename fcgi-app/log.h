/* The responder's log: one JSON object a line on stderr, the form that Cloud Logging reads. */
#ifndef LOG_H
#define LOG_H

#include "core/request.h"
#include "core/settings.h"

/* What a person at a terminal, or a web server that runs this as a CGI program, reads. */
enum log_format { LOG_JSON, LOG_TEXT };

/* Sets the form of the lines, LOG_JSON until then. */
void log_form(enum log_format form);

/*
 * Takes from settings, which have to outlive the log, the level below which lines are left out
 * (LOG_INFO until then) and the project that traces belong to.
 */
__attribute__((nonnull)) void log_open(const struct settings *settings);

/* Whether lines of this level are written at all. */
__attribute__((warn_unused_result)) bool log_shows(enum log_level level);

/*
 * Writes one line with a printf-formatted message, in one write(2), so that lines of several
 * processes do not mix. Control characters and bytes that are no UTF-8 are escaped; a line of more
 * than 4 KiB ends in "…". No memory is allocated. Not to be called from a signal handler.
 */
__attribute__((nonnull, format(printf, 2, 3))) void log_line(enum log_level level,
                                                             const char *format, ...);

/* The same about a request: with its id and its trace. */
__attribute__((nonnull, format(printf, 3, 4))) void
log_request(enum log_level level, const struct request *request, const char *format, ...);

#endif
