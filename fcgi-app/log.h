/* The responder's log: one JSON object a line on stderr, the form that Cloud Logging reads. */
#ifndef LOG_H
#define LOG_H

#include "core/settings.h"

/* Sets the level below which lines are left out; until then it is LOG_INFO. */
void log_open(enum log_level level);

/*
 * Writes one line with a printf-formatted message, cut at 1 KiB, in one write(2), so that lines of
 * several processes do not mix. Not to be called from a signal handler.
 */
__attribute__((nonnull, format(printf, 2, 3))) void log_line(enum log_level level,
                                                             const char *format, ...);

#endif
