/* Asks the whole stack whether it is ready, for a health check in an image without curl. */
#ifndef PROBE_H
#define PROBE_H

#include <stdbool.h>

/*
 * Sends GET /ready to nginx on 127.0.0.1, or [::1] where nobody listens there, and the port in the
 * environment variable PORT (8080). /ready takes the way that visitors take (nginx/probe.conf).
 * Waits at most 2 seconds in all. Returns whether the answer was 200; says on stderr why it
 * is not.
 */
__attribute__((warn_unused_result)) bool probe(void);

#endif
