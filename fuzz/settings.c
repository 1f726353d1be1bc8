/* The settings: each line of the input is a variable of the environment. */
#include "property.h"

#include "core/utf8.h"
#include "environment.h"

#include <unistd.h>

enum { VARIABLES_MAX = 32 };

static void check_text(const char *text)
{
    HOLDS(!text || (!utf8_is_blank(text) && utf8_check(text, NAME_MAX_CODE_POINTS) == UTF8_OK));
}

/* One line in ASCII, that begins with the variable. */
static void check_problem(const char *problem)
{
    const size_t name = strcspn(problem, "=");
    HOLDS(name > 0 && strspn(problem, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_") == name);
    for (; *problem; problem++)
        HOLDS(*problem >= ' ' && *problem <= '~');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *variables[VARIABLES_MAX + 1] = {NULL};
    char *lines = string_of(data, size), *rest = lines;
    for (size_t i = 0; i < VARIABLES_MAX && rest;) {
        variables[i] = strsep(&rest, "\n");
        if (strlen(variables[i]) > 1) /* glibc's getenv reads two bytes at once */
            i++;
        else
            variables[i] = NULL;
    }
    char **const saved = environ;
    struct settings settings;
    char problem[1024];
    environ = variables;
    const bool read = settings_read(&settings, problem, sizeof(problem));
    environ = saved;
    if (read) {
        check_text(settings.greeting);
        check_text(settings.name);
        check_text(settings.service);
        check_text(settings.revision);
        check_text(settings.region);
        check_text(settings.project);
        HOLDS(settings.workers >= 1 && settings.workers <= WORKERS_MAX);
        HOLDS(settings.log_level < LOG_LEVELS);
    } else {
        check_problem(problem);
    }
    free(lines);
    return 0;
}
