#include "core/version.h"
#include "environment.h"
#include "log.h"
#include "service.h"
#include "single.h"

#include <fcgiapp.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

static const char usage[] =
    "usage: responder [--single | --check | --version | --help]\n"
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
    "  --version  print version and commit\n"
    "  --help     print this\n"
    "\n"
    "Environment:\n"
    "  GREETING   1 to 64 characters (Hello)\n"
    "  NAME       1 to 64 characters (World)\n"
    "  WORKERS    processes that answer, 1 to 64 (the CPUs it may use, at least 2)\n"
    "  LOG_LEVEL  debug, info, warning or error (info); debug logs every request\n"
    "\n"
    "Exit status: 0 stopped, 64 wrong usage, 70 workers keep dying, 71 the system refused\n"
    "something, 78 wrong setting.\n";

enum mode { MODE_SERVE, MODE_SINGLE, MODE_CHECK };

/* Prints what was asked for and exits, or returns the mode to run in. */
static enum mode read_options(int argc, char *argv[])
{
    static const struct option options[] = {{"single", no_argument, NULL, 's'},
                                            {"check", no_argument, NULL, 'c'},
                                            {"version", no_argument, NULL, 'v'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    enum mode mode = MODE_SERVE;
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 's':
            mode = MODE_SINGLE;
            break;
        case 'c':
            mode = MODE_CHECK;
            break;
        case 'v':
            printf("responder %s (%s)\n", build_version, build_commit);
            exit(EX_OK);
        case 'h':
            fputs(usage, stdout);
            exit(EX_OK);
        default:
            fputs("Try: responder --help\n", stderr);
            exit(EX_USAGE);
        }
    }
    if (optind < argc) {
        fprintf(stderr, "responder: \"%s\" is one argument too many. Try: responder --help\n",
                argv[optind]);
        exit(EX_USAGE);
    }
    return mode;
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

int main(int argc, char *argv[])
{
    secure_standard_streams();
    const enum mode mode = read_options(argc, argv);
    struct settings settings;
    char problem[256];
    if (!settings_read(&settings, problem, sizeof(problem))) {
        fprintf(stderr, "responder: %s\n", problem);
        return EX_CONFIG;
    }
    if (mode == MODE_CHECK)
        return EX_OK;
    log_open(settings.log_level);
    const bool cgi = FCGX_IsCGI();
    if (cgi)
        require_request();
    return cgi || mode == MODE_SINGLE ? single_run(&settings) : service_run(&settings);
}
