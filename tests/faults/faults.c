/*
 * What the tests build a responder with that has faults: respond() in front of respond(), put there
 * by the linker (--wrap). A path /fault/NAME does something that no handler should.
 */
#include "core/respond.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

void __real_respond(const struct settings *settings, const struct request *request,
                    struct response *response);
void __wrap_respond(const struct settings *settings, const struct request *request,
                    struct response *response);

static void spin(void)
{
    for (volatile int forever = 1; forever;)
        ;
}

static void wait_for_ever(void)
{
    sigset_t none;
    sigfillset(&none);
    for (;;)
        sigsuspend(&none);
}

/* Longer than a look of the watchdog, shorter than any timeout. */
static void be_slow(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 700 * 1000000}, NULL);
}

static void segfault(void)
{
    volatile int *volatile nowhere = NULL;
    *nowhere = 0; /* cppcheck-suppress nullPointer */
}

static void leave(void)
{
    _exit(EX_SOFTWARE);
}

static void kill_itself(void)
{
    kill(getpid(), SIGKILL);
}

static void try_execve(void)
{
    static char *const arguments[] = {"true", NULL};
    execve("/bin/true", arguments, arguments + 1);
}

static void try_open_for_writing(void)
{
    const int fd = open("/tmp/hello-fcgi-fault", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd >= 0)
        unlink("/tmp/hello-fcgi-fault");
}

static void try_socket(void)
{
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0)
        close(fd);
}

static void try_ptrace(void)
{
    ptrace(PTRACE_ATTACH, getppid(), NULL, NULL);
}

static void try_fork(void)
{
    if (fork() == 0)
        _exit(0);
}

static void try_kill(void)
{
    kill(getppid(), SIGTERM);
}

static const struct fault_route {
    const char *name;
    void (*commit)(void);
} faults[] = {
    {"spin", spin},           {"wait", wait_for_ever}, {"slow", be_slow},
    {"segv", segfault},       {"abort", abort},        {"exit", leave},
    {"sigkill", kill_itself}, {"execve", try_execve},  {"openat", try_open_for_writing},
    {"socket", try_socket},   {"ptrace", try_ptrace},  {"clone", try_fork},
    {"kill", try_kill},
};

void __wrap_respond(const struct settings *settings, const struct request *request,
                    struct response *response)
{
    static const char prefix[] = "/fault/";
    const size_t length = strlen(prefix);
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        const size_t name = strlen(faults[i].name);
        if (strncmp(request->target, prefix, length) == 0 &&
            strncmp(request->target + length, faults[i].name, name) == 0 &&
            strcspn(request->target + length + name, "?") == 0)
            faults[i].commit();
    }
    __real_respond(settings, request, response);
}
