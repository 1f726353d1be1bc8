/* One response, and how it is written as a CGI response (RFC 3875 section 6). */
#ifndef RESPONSE_H
#define RESPONSE_H

#include "entity_tag.h"
#include "route.h"
#include "text.h"

#include <stdbool.h>
#include <stddef.h>

enum {
    RESPONSE_BODY_MAX = 64 * 1024, /* bytes */
    /* Of /metrics, the one that may be larger: some 60 lines for each route, and 100 others. */
    METRICS_BODY_MAX = (ROUTES + 2) * 12 * 1024,
    BODY_ROOM = METRICS_BODY_MAX > RESPONSE_BODY_MAX ? METRICS_BODY_MAX : RESPONSE_BODY_MAX,
    FIELDS_MAX = 2 * 1024,                           /* bytes of the fields that a handler adds */
    RESPONSE_MAX = BODY_ROOM + FIELDS_MAX + 2 * 1024 /* with all the header fields */
};

/* Who may keep a response, and for how long: decided here, for all routes. */
enum caching {
    CACHING_NONE,    /* nobody: errors, what is true only now */
    CACHING_PRIVATE, /* the client, who asks each time whether it is still valid */
    /* Everybody, for a second, and for 9 more while a new one is asked for or cannot be had, but
     * none that is older (RFC 5861, docs/reliability.md). */
    CACHING_SHARED
};

struct response {
    int status;
    const struct route *route; /* that was taken, NULL: none */
    const char *failure;       /* why status is 500, for the log; NULL: nobody has said */
    bool deferred;             /* the handler waits and was not called: there is no answer yet */
    const char *content_type;  /* NULL where there is no body (204) */
    const char *language;      /* of the body, NULL where it is not told */
    enum caching caching;
    bool tells_methods;               /* in Allow: those of its route */
    bool varies;                      /* chosen by Accept */
    bool varies_by_language;          /* chosen by Accept-Language */
    bool quotes_input;                /* not to be found by search engines */
    bool tagged;                      /* has an entity tag: a hash of its type and body */
    char entity_tag[ENTITY_TAG_SIZE]; /* "": none */
    bool head_only;     /* the body stays here (HEAD, 304); its length is known all the same */
    struct text fields; /* a handler's own, whole lines in field_bytes: see response_add_field */
    struct text body;   /* lies in body_bytes; may hold any bytes */
    /* response_init makes all in front of here zero. */
    char field_bytes[FIELDS_MAX];
    char body_bytes[BODY_ROOM];
};

/* What pages may do: with their style, the icon and their form, and nothing else. */
extern const char page_policy[];

/* Makes response an empty one: 200, not stored by any cache, no content type. */
__attribute__((nonnull)) void response_init(struct response *response);

/*
 * Adds a header field of the handler's own. Where name is no token, value has other than printable
 * ASCII, spaces and tabs, or the service or the web server sets such a field itself, and where
 * FIELDS_MAX bytes are not enough, the response is going to be a 500, and the log says why.
 */
__attribute__((nonnull)) void response_add_field(struct response *response, const char *name,
                                                 const char *value);

/*
 * Writes header fields, and the body where it is to be sent, to bytes, with a NUL behind. Returns
 * their length, less than size; 0 when something did not fit.
 */
__attribute__((nonnull, warn_unused_result)) size_t response_print(const struct response *response,
                                                                   char *bytes, size_t size);

enum { STATUSES = 31 }; /* that this service uses, and one for all others */

/* RFC 9110 section 15. The last one is for what is none of the others: its code is 0. */
extern const struct status {
    int code;
    const char *line; /* "404 Not Found" */
} statuses[STATUSES];

/* The position of a status in statuses. */
__attribute__((warn_unused_result)) size_t status_index(int code);

/* Of a status: its code with its reason phrase, and the phrase alone. */
__attribute__((returns_nonnull)) const char *status_line(int code);
__attribute__((returns_nonnull)) const char *reason_phrase(int code);

#endif
