/*
 * What the tests build a responder with that has faults: respond() in front of respond(), put there
 * by the linker (--wrap). A path /fault/NAME does something that no handler should, and /fault/body
 * what the body names; with WAITS set in the environment, /wait/NAME is the same as a route that
 * waits.
 */
#include "core/respond.h"

#include <fcntl.h>
#include <netdb.h>
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
bool __wrap_any_route_waits(void);

static const char *query; /* of the request in hand */

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

/* Says that it is in hand, and reads one byte from the pipe that the query names. */
static void wait_for_byte(void)
{
    char byte;
    const int pipe = open(query, O_RDONLY | O_CLOEXEC);
    if (pipe < 0 || write(STDERR_FILENO, "begun\n", 6) != 6 || read(pipe, &byte, 1) != 1)
        abort();
    close(pipe);
}

static void sleep_milliseconds(void)
{
    const long ms = strtol(query, NULL, 10);
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

/* Makes a connection to a port, by name as a database's client does, and reads a byte from it. */
static void connect_by_name(void)
{
    static const struct addrinfo wanted = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
    struct addrinfo *address;
    char byte;
    if (getaddrinfo("localhost", query, &wanted, &address) != 0)
        abort();
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, address->ai_addr, address->ai_addrlen) < 0 || read(fd, &byte, 1) != 1)
        abort();
    freeaddrinfo(address);
    close(fd);
}

static void segfault(void)
{
    volatile int *volatile nowhere = NULL;
    *nowhere = 0; /* cppcheck-suppress nullPointer */
}

/* Of which the C library, or a sanitizer, says what it thinks of it. */
static void free_what_is_not_free_s(void)
{
    static long memory[8];
    char *volatile middle = (char *)&memory[4];
    free(middle);
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
    {"spin", spin},
    {"wait", wait_for_ever},
    {"slow", be_slow},
    {"segv", segfault},
    {"abort", abort},
    {"free", free_what_is_not_free_s},
    {"exit", leave},
    {"say", say_and_be_slow},
    {"execve", try_execve},
    {"openat", try_open_for_writing},
    {"socket", try_socket},
    {"ptrace", try_ptrace},
    {"clone", try_fork},
    {"kill", try_kill},
    {"mmap", try_mmap},
    {"mprotect", try_mprotect},
    {"memory", try_memory},
    {"gate", wait_for_byte},
    {"sleep", sleep_milliseconds},
    {"connect", connect_by_name},
};

bool __wrap_any_route_waits(void)
{
    return getenv("WAITS");
}

/* The name of a fault behind the prefix that it has in a target, NULL: it has another one. */
static const char *name_in(const char *target, const char *prefix)
{
    const size_t length = strlen(prefix);
    return strncmp(target, prefix, length) == 0 ? target + length : NULL;
}

static void commit(const char *name)
{
    const size_t length = strcspn(name, "?");
    query = name[length] ? name + length + 1 : "";
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
        if (strncmp(name, faults[i].name, length) == 0 && !faults[i].name[length])
            faults[i].commit();
}

void __wrap_respond(const struct settings *settings, const struct request *request,
                    struct response *response)
{
    const char *waiting = name_in(request->target, "/wait/");
    const char *name = waiting ? waiting : name_in(request->target, "/fault/");
    char body[16] = "";
    if (waiting && request->defers) {
        response_init(response);
        response->route = routes;
        response->deferred = true;
        return;
    }
    if (name && strcmp(name, "body") == 0 && request->body_length < sizeof(body))
        name = memcpy(body, request->body, request->body_length);
    if (name)
        commit(name);
    __real_respond(settings, request, response);
}
