/* What nginx has to know of the responder, so that nothing is written down twice. */
#ifndef NGINX_H
#define NGINX_H

#include <stdbool.h>

/*
 * Prints it to standard output, as one JSON object of strings: languages (a|b, for a regular
 * expression), page_policy (a Content-Security-Policy) and error_page, HTML with nginx's variables
 * in its holes. supervisor/configuration.py fills nginx's files with it. false when that failed.
 */
__attribute__((warn_unused_result)) bool nginx_print(void);

#endif
