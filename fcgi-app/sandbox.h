/*
 * What a process gives up once it has all it needs: privileges that it could gain, system calls
 * (an allow-list, by libseccomp), core dumps and being looked into by others of its user, and
 * memory and processes beyond what it can use. It does not come back, and children inherit it.
 *
 * A worker may wait for its connections, read, answer and close them, take memory, read the clock,
 * write its log, wake its parent, and end. One that waits may besides sleep, make connections, ask
 * for the addresses of names, and read files: what is WAITING in the table of sandbox.c, which is
 * to be extended for what a library needs. The parent may do all that its workers may, fork, signal
 * and bury them, and what a new one does before it enters its own sandbox.
 */
#ifndef SANDBOX_H
#define SANDBOX_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* A parent with workers that wait is both. */
enum { SANDBOX_PARENT = 1, SANDBOX_WORKER = 2, SANDBOX_WAITING = 4 };

/*
 * Enters it. From then on a system call that is not allowed ends the process with status EX_NOPERM;
 * its number goes to *refused before, unless that is NULL. false, and errno, where the system
 * refuses it, which may have happened half-way; with nothing changed in a build with sanitizers,
 * which need more than a sandbox gives (errno ENOTSUP).
 */
__attribute__((warn_unused_result)) bool sandbox_enter(int who, pid_t parent, atomic_int *refused);

/* Writes the name of a system call to name, cut to size bytes; its number where it has none. */
__attribute__((nonnull)) void sandbox_call_name(int number, char *name, size_t size);

#endif
