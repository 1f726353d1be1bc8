/* Functions that write without a bound, cut without saying so, keep hidden state, or hide an
 * overflow: with this header in front of everything (Makefile) they do not compile. The system's
 * headers, which name them, come first. (gets is no part of C17, and fcgi_stdio.h names it.) */
#ifndef BANNED_H
#define BANNED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#pragma GCC poison sprintf vsprintf strcpy stpcpy strcat strncpy strncat strtok
#pragma GCC poison atoi atol atoll atof mktemp tmpnam ctime asctime localtime gmtime

#endif
