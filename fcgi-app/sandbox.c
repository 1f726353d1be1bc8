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

/* Found by strace over the tests (docs/design.md), not by guessing. Which of them C functions make
 * differs between versions of glibc and machines: epoll_pwait is epoll_wait on arm64. */
static const int calls[] = {SCMP_SYS(accept4), SCMP_SYS(recvfrom), SCMP_SYS(sendto),
                            SCMP_SYS(close), SCMP_SYS(epoll_ctl), SCMP_SYS(epoll_wait),
                            SCMP_SYS(epoll_pwait), SCMP_SYS(read), SCMP_SYS(pread64),
                            SCMP_SYS(write), SCMP_SYS(lseek), SCMP_SYS(clock_gettime),
                            SCMP_SYS(getpid), SCMP_SYS(exit_group), SCMP_SYS(restart_syscall),
                            /* malloc */
                            SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise),
                            /* abort, and what glibc says before it */
                            SCMP_SYS(rt_sigprocmask), SCMP_SYS(gettid), SCMP_SYS(writev)};

/* Besides, for the parent and for a worker before it enters its own. */
static const int parent_calls[] = {
    SCMP_SYS(rt_sigtimedwait), SCMP_SYS(wait4),        SCMP_SYS(kill),
    SCMP_SYS(getppid),         SCMP_SYS(prctl),        SCMP_SYS(set_robust_list),
    SCMP_SYS(epoll_create1),   SCMP_SYS(signalfd4),    SCMP_SYS(memfd_create),
    SCMP_SYS(ftruncate),       SCMP_SYS(seccomp),      SCMP_SYS(prlimit64),
    SCMP_SYS(rt_sigaction),    SCMP_SYS(rt_sigreturn), SCMP_SYS(getrandom),
    SCMP_SYS(fcntl),           SCMP_SYS(clock_getres), SCMP_SYS(tgkill)};

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

static bool allow(scmp_filter_ctx filter, const int list[], size_t count)
{
    bool ok = true;
    for (size_t i = 0; i < count; i++)
        ok = ok && seccomp_rule_add(filter, SCMP_ACT_ALLOW, list[i], 0) == 0;
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

/* To fork, without namespaces, and to read files. */
static bool allow_parent(scmp_filter_ctx filter)
{
    static const scmp_datum_t namespaces = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS |
                                           CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID |
                                           CLONE_NEWNET;
    static const scmp_datum_t writing = O_ACCMODE | O_CREAT | O_TRUNC;
    return allow(filter, parent_calls, sizeof(parent_calls) / sizeof(parent_calls[0])) &&
           allow_if(filter, SCMP_SYS(clone), SCMP_A0(SCMP_CMP_MASKED_EQ, namespaces, 0)) &&
           allow_if(filter, SCMP_SYS(openat), SCMP_A2(SCMP_CMP_MASKED_EQ, writing, O_RDONLY));
}

static bool make_rules(scmp_filter_ctx filter, enum sandbox sandbox, pid_t parent)
{
    return allow(filter, calls, sizeof(calls) / sizeof(calls[0])) && allow_memory(filter) &&
           (sandbox == SANDBOX_WORKER ? allow_worker(filter, parent) : allow_parent(filter));
}

/* Returns errno, 0 when all went well. */
static int filter_calls(enum sandbox sandbox, pid_t parent)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_TRAP);
    const int result =
        filter && make_rules(filter, sandbox, parent) ? seccomp_load(filter) : -ENOMEM;
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

static bool give_up_resources(enum sandbox sandbox)
{
    return prctl(PR_SET_DUMPABLE, 0) == 0 && limit(RLIMIT_CORE, 0) &&
           (sandbox == SANDBOX_PARENT || (limit(RLIMIT_AS, MEMORY_MAX) && limit(RLIMIT_NPROC, 0)));
}

bool sandbox_enter(enum sandbox sandbox, pid_t parent, atomic_int *refused)
{
    if (sanitized) {
        errno = ENOTSUP;
        return false;
    }
    if (!give_up_resources(sandbox))
        return false;
    await_refusal(refused);
    errno = filter_calls(sandbox, parent);
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
