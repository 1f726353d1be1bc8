#include "sandbox.h"

#include "watchdog.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <unistd.h>

/*
 * Who may make a call without conditions. Found by strace over the tests (docs/design.md), not by
 * guessing. Which calls C functions make differs between versions of glibc and machines:
 * epoll_pwait is epoll_wait on arm64.
 */
enum {
    PARENT = SANDBOX_PARENT,
    WAITING = SANDBOX_WAITING,
    ALL = PARENT | SANDBOX_WORKER | WAITING
};

static const struct {
    int call;
    int who; /* all who may */
} calls[] = {
    {SCMP_SYS(accept4), ALL},
    {SCMP_SYS(recvfrom), ALL},
    {SCMP_SYS(sendto), ALL},
    {SCMP_SYS(sendmsg), ALL},
    {SCMP_SYS(close), ALL},
    {SCMP_SYS(shutdown), ALL},
    {SCMP_SYS(epoll_ctl), ALL},
    {SCMP_SYS(epoll_wait), ALL},
    {SCMP_SYS(epoll_pwait), ALL},
    {SCMP_SYS(read), ALL},
    {SCMP_SYS(pread64), ALL},
    {SCMP_SYS(write), ALL},
    {SCMP_SYS(lseek), ALL},
    {SCMP_SYS(clock_gettime), ALL},
    {SCMP_SYS(getpid), ALL},
    {SCMP_SYS(exit_group), ALL},
    {SCMP_SYS(restart_syscall), ALL},
    /* malloc */
    {SCMP_SYS(brk), ALL},
    {SCMP_SYS(munmap), ALL},
    {SCMP_SYS(mremap), ALL},
    {SCMP_SYS(madvise), ALL},
    /* abort, and what glibc says before it */
    {SCMP_SYS(rt_sigprocmask), ALL},
    {SCMP_SYS(gettid), ALL},
    {SCMP_SYS(writev), ALL},
    /* Handlers that wait: requests that are handed over, sleep, connections, getaddrinfo. */
    {SCMP_SYS(recvmsg), WAITING},
    {SCMP_SYS(socket), WAITING},
    {SCMP_SYS(connect), WAITING},
    {SCMP_SYS(bind), WAITING},
    {SCMP_SYS(getsockopt), WAITING},
    {SCMP_SYS(setsockopt), WAITING},
    {SCMP_SYS(getsockname), WAITING},
    {SCMP_SYS(getpeername), WAITING},
    {SCMP_SYS(sendmmsg), WAITING},
    {SCMP_SYS(poll), WAITING},
    {SCMP_SYS(ppoll), WAITING},
    {SCMP_SYS(select), WAITING},
    {SCMP_SYS(pselect6), WAITING},
    {SCMP_SYS(clock_nanosleep), WAITING},
    {SCMP_SYS(nanosleep), WAITING},
    {SCMP_SYS(fcntl), WAITING | PARENT},
    {SCMP_SYS(ioctl), WAITING},
    {SCMP_SYS(fstat), WAITING},
    {SCMP_SYS(newfstatat), WAITING},
    {SCMP_SYS(statx), WAITING},
    {SCMP_SYS(uname), WAITING},
    {SCMP_SYS(futex), WAITING},
    {SCMP_SYS(getrandom), WAITING | PARENT},
    /* The parent, and workers before they enter their own. */
    {SCMP_SYS(rt_sigtimedwait), PARENT},
    {SCMP_SYS(wait4), PARENT},
    {SCMP_SYS(kill), PARENT},
    {SCMP_SYS(getppid), PARENT},
    {SCMP_SYS(prctl), PARENT},
    {SCMP_SYS(set_robust_list), PARENT},
    {SCMP_SYS(epoll_create1), PARENT},
    {SCMP_SYS(signalfd4), PARENT},
    {SCMP_SYS(memfd_create), PARENT},
    {SCMP_SYS(ftruncate), PARENT},
    {SCMP_SYS(seccomp), PARENT},
    {SCMP_SYS(prlimit64), PARENT},
    {SCMP_SYS(rt_sigaction), PARENT},
    {SCMP_SYS(rt_sigreturn), PARENT},
    {SCMP_SYS(clock_getres), PARENT},
    {SCMP_SYS(tgkill), PARENT},
};

enum {
    MEMORY_MAX = 1 << 30, /* bytes; full of the largest requests a worker takes 600 MiB */
    TRAPPED = 1           /* SYS_SECCOMP of the kernel, for which glibc 2.36 has no name */
};

#ifdef __SANITIZE_ADDRESS__
static const bool sanitized = true;
#else
static const bool sanitized = false;
#endif

static atomic_int *refused_call;

static void refuse(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    (void)context;
    if (info->si_code != TRAPPED)
        return;
    if (refused_call)
        atomic_store(refused_call, info->si_syscall);
    _exit(EX_NOPERM);
}

/* All other signals stay blocked. */
static void await_refusal(atomic_int *refused)
{
    const struct sigaction action = {.sa_sigaction = refuse, .sa_flags = SA_SIGINFO};
    sigset_t signals;
    refused_call = refused;
    sigaction(SIGSYS, &action, NULL);
    sigemptyset(&signals);
    sigaddset(&signals, SIGSYS);
    sigprocmask(SIG_UNBLOCK, &signals, NULL);
}

static bool allow_calls(scmp_filter_ctx filter, int who)
{
    bool ok = true;
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
        if (calls[i].who & who)
            ok = ok && seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i].call, 0) == 0;
    return ok;
}

static bool allow_if(scmp_filter_ctx filter, int call, struct scmp_arg_cmp condition)
{
    return seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, call, 1, &condition) == 0;
}

/* Memory, but none whose content can be run. */
static bool allow_memory(scmp_filter_ctx filter)
{
    const struct scmp_arg_cmp not_run = SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0);
    return allow_if(filter, SCMP_SYS(mmap), not_run) &&
           allow_if(filter, SCMP_SYS(mprotect), not_run);
}

/* To abort, and to wake the parent. */
static bool allow_worker(scmp_filter_ctx filter, pid_t parent)
{
    return allow_if(filter, SCMP_SYS(tgkill), SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid())) &&
           allow_if(filter, SCMP_SYS(rt_sigaction), SCMP_A0(SCMP_CMP_EQ, SIGABRT)) &&
           seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(kill), 2,
                            SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)parent),
                            SCMP_A1(SCMP_CMP_EQ, WATCHDOG_SIGNAL)) == 0;
}

static bool allow_reading(scmp_filter_ctx filter)
{
    static const scmp_datum_t writing = O_ACCMODE | O_CREAT | O_TRUNC;
    return allow_if(filter, SCMP_SYS(openat), SCMP_A2(SCMP_CMP_MASKED_EQ, writing, O_RDONLY));
}

/* To fork, without namespaces. */
static bool allow_parent(scmp_filter_ctx filter)
{
    static const scmp_datum_t namespaces = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS |
                                           CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID |
                                           CLONE_NEWNET;
    return allow_if(filter, SCMP_SYS(clone), SCMP_A0(SCMP_CMP_MASKED_EQ, namespaces, 0));
}

static bool make_rules(scmp_filter_ctx filter, int who, pid_t parent)
{
    return allow_calls(filter, who) && allow_memory(filter) &&
           (who == SANDBOX_WORKER || allow_reading(filter)) &&
           (who & PARENT ? allow_parent(filter) : allow_worker(filter, parent));
}

/* Returns errno, 0 when all went well. */
static int filter_calls(int who, pid_t parent)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_TRAP);
    const int result = filter && make_rules(filter, who, parent) ? seccomp_load(filter) : -ENOMEM;
    seccomp_release(filter);
    return -result;
}

static bool limit(__rlimit_resource_t resource, rlim_t most)
{
    struct rlimit limit;
    if (getrlimit(resource, &limit) < 0)
        return false;
    if (limit.rlim_max < most)
        most = limit.rlim_max;
    limit.rlim_cur = limit.rlim_max = most;
    return setrlimit(resource, &limit) == 0;
}

static bool give_up_resources(int who)
{
    return prctl(PR_SET_DUMPABLE, 0) == 0 && limit(RLIMIT_CORE, 0) &&
           (who & PARENT || (limit(RLIMIT_AS, MEMORY_MAX) && limit(RLIMIT_NPROC, 0)));
}

bool sandbox_enter(int who, pid_t parent, atomic_int *refused)
{
    if (sanitized) {
        errno = ENOTSUP;
        return false;
    }
    if (!give_up_resources(who))
        return false;
    await_refusal(refused);
    errno = filter_calls(who, parent);
    return errno == 0;
}

void sandbox_call_name(int number, char *name, size_t size)
{
    char *resolved = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, number);
    if (resolved)
        snprintf(name, size, "%s", resolved);
    else
        snprintf(name, size, "%d", number);
    free(resolved);
}
