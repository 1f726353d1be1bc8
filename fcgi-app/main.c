#include "core/version.h"
#include "environment.h"
#include "log.h"
#include "nginx.h"
#include "probe.h"
#include "service.h"
#include "single.h"

#include <errno.h>
#include <fcgiapp.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

static const char usage[] =
    "usage: responder [--single | --check | --nginx | --probe | --version | --help]\n"
    "\n"
    "Answers \"Hello World\" over FastCGI. The listening socket is file descriptor 0, as\n"
    "supervisord and spawn-fcgi pass it:\n"
    "\n"
    "  spawn-fcgi -n -s /tmp/responder.sock -M 0600 -- build/responder\n"
    "\n"
    "Where file descriptor 0 is no such socket it answers the one CGI request in its\n"
    "environment:\n"
    "\n"
    "  REQUEST_METHOD=GET REQUEST_URI=/ build/responder\n"
    "\n"
    "  --single   answer one request at a time in this process, for a debugger\n"
    "  --check    check the settings and exit\n"
    "  --nginx    the same, and print what nginx has to know of it, as JSON\n"
    "  --probe    ask the service on PORT (8080) whether it is ready: exit status 0 or 1\n"
    "  --version  print version and commit\n"
    "  --help     print this\n"
    "\n"
    "Environment:\n";

static const char usage_end[] =
    "\n"
    "Exit status: 0 stopped, 64 wrong usage, 70 workers keep dying, 71 the system refused\n"
    "something, 77 the sandbox did, 78 wrong setting.\n";

enum mode {
    MODE_SERVE,
    MODE_SINGLE,
    MODE_CHECK,
    MODE_NGINX,
    MODE_PROBE,
    MODE_VERSION,
    MODE_HELP,
    MODES
};

static enum mode read_mode(int argc, char *argv[])
{
    static const char *const options[MODES] = {
        [MODE_SINGLE] = "--single", [MODE_CHECK] = "--check",     [MODE_NGINX] = "--nginx",
        [MODE_PROBE] = "--probe",   [MODE_VERSION] = "--version", [MODE_HELP] = "--help",
    };
    if (argc == 1)
        return MODE_SERVE;
    for (enum mode mode = MODE_SINGLE; argc == 2 && mode < MODES; mode++)
        if (strcmp(argv[1], options[mode]) == 0)
            return mode;
    fprintf(stderr, "responder: wrong argument \"%s\". Try: responder --help\n",
            argc > 2 ? argv[2] : argv[1]);
    exit(EX_USAGE);
}

/* A descriptor that is closed would otherwise be given to the next connection, which would then
 * get what is meant for the log. */
static void secure_standard_streams(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
            exit(EX_OSERR);
}

static void require_request(void)
{
    if (getenv("REQUEST_METHOD"))
        return;
    fputs("responder: file descriptor 0 is no FastCGI socket and REQUEST_METHOD is not set, so "
          "that there is nothing to answer. Try: make run, or responder --help\n",
          stderr);
    exit(EX_USAGE);
}

/* Until somebody takes it; the handler that libfcgi installs for it would lose it. */
static void hold_sigterm(void)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &signals, NULL);
}

static int answer(enum mode mode)
{
    struct settings settings;
    char problem[1024];
    hold_sigterm();
    if (FCGX_Init() != 0) { /* FCGX_IsCGI would end the process, and not say why */
        log_line(LOG_ERROR, "libfcgi cannot be set up: %s", strerror(errno));
        return EX_OSERR;
    }
    const bool cgi = FCGX_IsCGI();
    if (mode == MODE_CHECK || mode == MODE_NGINX || cgi || isatty(STDERR_FILENO))
        log_form(LOG_TEXT);
    if (!settings_read(&settings, problem, sizeof(problem))) {
        log_line(LOG_ERROR, "%s", problem);
        return EX_CONFIG;
    }
    if (mode == MODE_CHECK)
        return EX_OK;
    if (mode == MODE_NGINX)
        return nginx_print() ? EX_OK : EX_OSERR;
    log_open(&settings);
    if (cgi)
        require_request();
    return cgi || mode == MODE_SINGLE ? single_run(&settings) : service_run(&settings);
}

int main(int argc, char *argv[])
{
    secure_standard_streams();
    const enum mode mode = read_mode(argc, argv);
    switch (mode) {
    case MODE_PROBE:
        return probe() ? EXIT_SUCCESS : EXIT_FAILURE;
    case MODE_VERSION:
        printf("responder %s (%s)\n", build_version, build_commit);
        return EX_OK;
    case MODE_HELP:
        fputs(usage, stdout);
        settings_tell(stdout);
        fputs(usage_end, stdout);
        return EX_OK;
    default:
        return answer(mode);
    }
}
