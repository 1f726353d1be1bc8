/* What the operator chose. environment.h reads it from the environment. */
#ifndef SETTINGS_H
#define SETTINGS_H

enum {
    NAME_MAX_CODE_POINTS = 64, /* of a greeting, of a name, and of a name in ?name= */
    WORKERS_MAX = 64,
    WAITING_WORKERS_MAX = 64
};

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERROR, LOG_LEVELS };

struct settings {
    const char *greeting; /* GREETING, NULL: the language's */
    const char *name;     /* GREETING_NAME, NULL: everybody */
    const char *service;  /* K_SERVICE, NULL outside Cloud Run */
    const char *revision; /* K_REVISION, NULL outside Cloud Run */
    const char *region;   /* REGION, NULL where nobody says */
    const char *project;  /* GOOGLE_CLOUD_PROJECT, NULL where it is not set */
    int workers;          /* WORKERS */
    int waiting_workers;  /* WAITING_WORKERS; none where no route waits */
    int log_level;        /* LOG_LEVEL: enum log_level */
    int request_timeout;  /* REQUEST_TIMEOUT, seconds */
    int sandbox;          /* SANDBOX: 0 or 1 */
};

#endif
