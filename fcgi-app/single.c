#include "single.h"

#include "clock.h"
#include "core/target.h"
#include "core/text.h"
#include "environment.h"
#include "reply.h"

#include <ctype.h>
#include <fcgiapp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <fcgi_stdio.h> /* last: it redefines stdio's names for the request's streams */

extern char **environ;

static void stop(int signal)
{
    (void)signal;
    FCGX_ShutdownPending();
    alarm(1); /* libfcgi misses a signal between its test for it and its accept(2): wake it again */
}

static void wake(int signal)
{
    (void)signal;
}

/* Without SA_RESTART, so that accept(2) returns. */
static void handle_signals(sigset_t *stopping)
{
    const struct sigaction stops = {.sa_handler = stop};
    const struct sigaction wakes = {.sa_handler = wake};
    sigaction(SIGTERM, &stops, NULL);
    sigaction(SIGINT, &stops, NULL);
    sigaction(SIGALRM, &wakes, NULL);
    sigemptyset(stopping);
    sigaddset(stopping, SIGTERM);
    sigaddset(stopping, SIGINT);
    sigaddset(stopping, SIGALRM);
}

/* A CGI program must not read more than CONTENT_LENGTH says (RFC 3875 section 4.2). Over FastCGI
 * the body has an end of its own, behind which libfcgi finds the next request. */
static size_t read_body(const char *content_length, char body[BODY_KEPT_MAX])
{
    char bytes[4096];
    size_t length = 0;
    size_t count = 1;
    size_t left = BODY_MAX + 1;
    if (FCGX_IsCGI()) {
        const bool declared = content_length && isdigit((unsigned char)*content_length);
        left = declared ? strtoull(content_length, NULL, 10) : 0;
        if (left > BODY_MAX)
            return BODY_MAX + 1;
    }
    for (; left > 0 && count > 0; left -= count) {
        count = fread(bytes, 1, left < sizeof(bytes) ? left : sizeof(bytes), stdin);
        if (length + count <= BODY_KEPT_MAX)
            memcpy(body + length, bytes, count);
        length += count;
    }
    return length;
}

static void add_encoded(struct text *target, const char *path)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "0123456789-._~/";
    for (; path && *path; path++) {
        char encoded[8];
        snprintf(encoded, sizeof(encoded), strchr(plain, *path) ? "%c" : "%%%02X",
                 (unsigned char)*path);
        text_add(target, encoded);
    }
}

/* REQUEST_URI, or where the web server does not set it, what RFC 3875 has for it (sections 4.1.5,
 * 4.1.7 and 4.1.13): there the path is decoded, the query is not. */
static const char *target(void)
{
    static char bytes[TARGET_MAX + 2];
    const char *query = getenv("QUERY_STRING");
    struct text text = text_in(bytes, sizeof(bytes));
    if (getenv("REQUEST_URI"))
        return getenv("REQUEST_URI");
    add_encoded(&text, getenv("SCRIPT_NAME"));
    add_encoded(&text, getenv("PATH_INFO"));
    if (query && *query) {
        text_add(&text, "?");
        text_add(&text, query);
    }
    if (text.overflowed) /* too long for the core, too, which says so */
        memset(bytes, '/', TARGET_MAX + 1);
    return bytes;
}

static void answer(const struct settings *settings)
{
    static struct response response;
    static char printed[RESPONSE_MAX];
    static char body[BODY_KEPT_MAX];
    struct request request = request_from(environ);
    request.target = target();
    request.body = body;
    request.body_length = read_body(request.content_length, body);
    if (ferror(stdin)) /* cut off, by a peer that takes no answer */
        return;
    request.now_ms = wall_clock_ms();
    const size_t length = reply(settings, &request, &response, printed, sizeof(printed));
    fwrite(printed, 1, length, stdout);
}

int single_run(const struct settings *settings)
{
    sigset_t stopping;
    handle_signals(&stopping);
    sigprocmask(SIG_UNBLOCK, &stopping, NULL);
    while (FCGI_Accept() >= 0) {
        sigprocmask(SIG_BLOCK, &stopping, NULL);
        answer(settings);
        FCGI_Finish();
        sigprocmask(SIG_UNBLOCK, &stopping, NULL);
    }
    return 0;
}
