/*
 * For LD_PRELOAD: refuses one allocation, that of number REFUSED, counted from the process's start;
 * with IN=child only in a process that was forked. No more is refused after that, in any process,
 * so that a worker that replaces another one gets its memory.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>

static unsigned long count, refused;
static bool armed;
static atomic_bool *done; /* shared by all processes */

static void begin_in_child(void)
{
    count = 0;
    armed = true;
}

__attribute__((constructor)) static void prepare(void)
{
    done = mmap(NULL, sizeof(*done), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    refused = strtoul(getenv("REFUSED"), NULL, 10);
    pthread_atfork(NULL, NULL, begin_in_child);
    count = 0;
    armed = !getenv("IN");
}

static bool is_refused(void)
{
    if (!armed || ++count != refused || atomic_exchange(done, true))
        return false;
    errno = ENOMEM;
    return true;
}

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t number, size_t size);
extern void *__libc_realloc(void *memory, size_t size);

void *malloc(size_t size)
{
    return is_refused() ? NULL : __libc_malloc(size);
}

void *calloc(size_t number, size_t size)
{
    return is_refused() ? NULL : __libc_calloc(number, size);
}

void *realloc(void *memory, size_t size)
{
    return is_refused() ? NULL : __libc_realloc(memory, size);
}
