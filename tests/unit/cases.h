/* What a table of test cases needs: a failing case that names itself by the line it stands on, and
 * input whose end is a wall, so that reading past it fails the case too. */
#ifndef CASES_H
#define CASES_H

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h> /* needs the above before it */

#define TEST(sentence) static void sentence(__attribute__((unused)) void **state)
#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))
#define TABLE(cases) (cases), LENGTH(cases)

/* string as a message can show it: without bytes that a terminal may choke on, cut when long.
 * Holds until the fourth call from here. */
static inline const char *shown(const char *string)
{
    enum { SHOWN_MAX = 1000 };
    static char texts[4][SHOWN_MAX + sizeof("\\xFF...")];
    static unsigned calls;
    char *text = texts[calls++ % LENGTH(texts)];
    int length = 0;
    if (!string)
        return "(NULL)";
    text[0] = '\0';
    for (; *string && length < SHOWN_MAX; string++)
        length += sprintf(text + length, *string >= ' ' && *string <= '~' ? "%c" : "\\x%02X",
                          (unsigned char)*string);
    if (*string)
        strcpy(text + length, "...");
    return text;
}

static inline void same_string(int line, const char *sent, const char *expected, const char *got)
{
    if (!expected || !got ? expected != got : strcmp(expected, got) != 0)
        fail_msg("%s:%d: sent \"%s\", expected \"%s\", got \"%s\"", __BASE_FILE__, line,
                 shown(sent), shown(expected), shown(got));
}

static inline void same_number(int line, const char *sent, uintmax_t expected, uintmax_t got)
{
    if (expected != got)
        fail_msg("%s:%d: sent \"%s\", expected %ju, got %ju", __BASE_FILE__, line, shown(sent),
                 expected, got);
}

static inline void holds(int line, const char *sent, const char *what, bool condition)
{
    if (!condition)
        fail_msg("%s:%d: sent \"%s\": %s does not hold", __BASE_FILE__, line, shown(sent), what);
}

static volatile sig_atomic_t walled_line;

static inline void hit_wall(int signal)
{
    (void)signal;
    fail_msg("%s:%d: read or wrote past the end", __BASE_FILE__, (int)walled_line);
}

/* The length bytes in front of a page that must not be touched, for the case on that line. There is
 * only one wall: the next call takes the bytes away. */
static inline void *walled(int line, size_t length)
{
    enum { ROOM = 1 << 20 }; /* a multiple of every page size */
    static char *wall;
    if (!wall) {
        char *area =
            mmap(NULL, 2 * ROOM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        assert_ptr_not_equal(area, MAP_FAILED);
        wall = area + ROOM;
        assert_int_equal(mprotect(wall, ROOM, PROT_NONE), 0);
    }
    /* Anew each time, since cmocka sets its own handler, which cannot name the case, per test.
     * SA_NODEFER: the handler does not return, and the next hit is to be caught too. */
    const struct sigaction names_case = {.sa_handler = hit_wall, .sa_flags = SA_NODEFER};
    assert_int_equal(sigaction(SIGSEGV, &names_case, NULL), 0);
    walled_line = line;
    assert_true(length <= ROOM);
    return wall - length;
}

/* A copy of string that ends in front of the wall; NULL stays NULL. */
static inline const char *walled_string(int line, const char *string)
{
    return string ? memcpy(walled(line, strlen(string) + 1), string, strlen(string) + 1) : NULL;
}

/* string count times over. Holds until the fourth call from here. */
static inline const char *repeated(const char *string, size_t count)
{
    static char texts[4][80 * 1024];
    static unsigned calls;
    char *text = texts[calls++ % LENGTH(texts)];
    const size_t length = strlen(string);
    assert_true(length * count < sizeof(texts[0]));
    for (size_t i = 0; i < count; i++)
        memcpy(text + i * length, string, length);
    text[count * length] = '\0';
    return text;
}

#endif
