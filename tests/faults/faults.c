/*
 * What the tests build a responder with that has faults: respond() in front of respond(), put there
 * by the linker (--wrap). A path /fault/NAME does something that no handler should.
 */
#include "core/respond.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
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

static int64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

/* Longer than a look of the watchdog, shorter than any timeout. */
static void be_slow(void)
{
    for (const int64_t until = now() + 700; now() < until;)
        ;
}

/* Says that it is in hand. */
static void say_and_be_slow(void)
{
    if (write(STDERR_FILENO, "begun\n", 6) == 6)
        be_slow();
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
    ptrace(PTRACE_TRACEME, 0, NULL, NULL);
}

static void try_fork(void)
{
    if (fork() == 0)
        _exit(0);
}

static void try_mmap(void)
{
    (void)!mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void try_mprotect(void)
{
    static char page[4096] __attribute__((aligned(4096)));
    (void)!mprotect(page, sizeof(page), PROT_READ | PROT_EXEC);
}

/* More than a worker may have: this must fail, and is none of the sandbox's calls. */
static void try_memory(void)
{
    const size_t size = (size_t)2 << 30;
    void *memory = malloc(size);
    if (memory)
        leave();
    free(memory);
}

static void try_kill(void)
{
    kill(getpid(), 0);
}

static const struct fault_route {
    const char *name;
    void (*commit)(void);
} faults[] = {
    {"spin", spin},           {"wait", wait_for_ever}, {"slow", be_slow},
    {"segv", segfault},       {"abort", abort},        {"exit", leave},
    {"say", say_and_be_slow}, {"execve", try_execve},  {"openat", try_open_for_writing},
    {"socket", try_socket},   {"ptrace", try_ptrace},  {"clone", try_fork},
    {"kill", try_kill},       {"mmap", try_mmap},      {"mprotect", try_mprotect},
    {"memory", try_memory},
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
