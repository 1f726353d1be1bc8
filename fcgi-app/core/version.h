/* What was built: stamped by the Makefile from the file VERSION and from git. */
#ifndef VERSION_H
#define VERSION_H

extern const char build_version[]; /* semantic version, from the file VERSION */
extern const char build_commit[];  /* full commit hash, "-dirty" behind it where files differed */

#endif
