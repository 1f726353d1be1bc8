/*
 * What the wire tests share: a FastCGI client that decides about every byte it sends, and the
 * responder it talks to: the real program on a real unix socket, in a directory of its own.
 *
 * Every wait ends at a deadline, where the test fails. Whatever a test starts, opens or makes,
 * teardown ends, closes and removes, also when the test has failed half-way.
 */
#ifndef CLIENT_H
#define CLIENT_H

#include <fastcgi.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <cmocka.h> /* wants the headers above */

enum {
    DEADLINE_MS = 15000, /* for what has to happen; long, since the machine may be busy */
    PROMPT_MS = 1500,    /* for what nothing may delay: less than any timeout of the responder */
    WORKERS_MOST = 64,
    CONNECTIONS_MAX = 1024,  /* that a worker takes, worker.c */
    STARTED_DESCRIPTORS = 6, /* of a worker: streams, epoll set, signals, what libfcgi reads */
    DESCRIPTORS_SHORT = 30,  /* a limit that few connections reach */
};

int64_t now_ms(void);

/* Waits a moment in a loop around a condition for which there is no event to wait for. */
void wait_a_moment(void);

/* Waits for such a condition; where it does not come true the rest is the failure's message. */
#define await(condition, ...)                                                                      \
    do {                                                                                           \
        const int64_t until_ms = now_ms() + DEADLINE_MS;                                           \
        while (!(condition)) {                                                                     \
            if (now_ms() > until_ms)                                                               \
                fail_msg(__VA_ARGS__);                                                             \
            wait_a_moment();                                                                       \
        }                                                                                          \
    } while (0)

/* --- What is sent --- */

struct bytes {
    uint8_t *data; /* a NUL follows */
    size_t length, size;
    struct bytes *next;
};

struct request {
    const char *method;         /* NULL: GET */
    const char *target;         /* NULL: / */
    const char *content_length; /* NULL: what fits body; "" as nginx sends it without a body */
    size_t body;                /* bytes: so many x, where there is no content */
    const char *content, *type; /* the body, and its CONTENT_TYPE; NULL: none */
    const struct bytes *more;   /* further parameters, as add_pair encodes them */
    uint16_t id;                /* 0: 1 */
    uint16_t record_max;        /* bytes of content in a stream's record; 0: as many as fit */
    uint8_t padding;            /* of a stream's records with content: what web servers pad */
    bool pad_all;               /* and of every other record */
    bool keep;                  /* FCGI_KEEP_CONN */
};

extern const struct request kept, unkept; /* GET / */

/* Empty bytes, which teardown frees. */
struct bytes *bytes_new(void);
void bytes_add(struct bytes *bytes, const void *data, size_t length);

void add_record(struct bytes *bytes, uint8_t type, uint16_t id, const void *content, size_t length,
                uint8_t padding);
void add_begin(struct bytes *bytes, uint16_t id, uint16_t role, uint8_t flags, uint8_t padding);
void add_pair(struct bytes *bytes, const char *name, const char *value);

/* A name-value pair's length in four bytes, however small. */
void add_long_length(struct bytes *bytes, uint32_t length);

/* The content as a stream of records, the empty one that ends it included. */
void add_stream(struct bytes *bytes, uint8_t type, const struct bytes *content,
                const struct request *request);

struct bytes *request_bytes(const struct request *request);

/* --- The responder --- */

struct responder {
    pid_t pid; /* 0: does not run */
    int listening;
    char directory[32];
    unsigned descriptors_max; /* its RLIMIT_NOFILE, to be set before the start */
    bool without_streams;     /* starts with descriptors 1 and 2 closed */
    bool traced;              /* starts as one that this process traces */
    int seccomp_error;        /* what it gets when it asks for a sandbox, 0: that */
    unsigned workers;
    pid_t worker[WORKERS_MOST];
    unsigned idle_descriptors; /* of a worker without connections */
    struct client *clients;
};

/* Whether this process may have as many clients as a worker takes, and some more. */
bool enough_descriptors(void);

/* cmocka's fixtures of every test: *state is a struct responder that does not run yet. */
int setup(void **state);
int teardown(void **state);

/* A test with these fixtures, by a name that tests/conftest.py knows tests by. */
#define cmocka_unit_test_wire(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

/* "NAME=value" for the responder's environment, which holds nothing else, or arguments. */
#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

/* The responder that is tested, RESPONDER at the first call, and the same with the faults of
 * tests/faults. The tests set RESPONDER to the one that start is to take. */
const char *program(void);
const char *faulty_program(void);

/* Starts it on the listening socket. */
void start(struct responder *responder, const char *const words[]);

/* Runs it to its end, with standard input from input (NULL: /dev/null). Returns what
 * await_exit does. */
int run(struct responder *responder, const struct bytes *input, const char *const words[]);

/* Starts the service with so many workers and a LOG_LEVEL, and waits for it. */
struct responder *serve_and_log(void **state, unsigned workers, const char *log_level);

/* The same, with errors as its only log lines. */
struct responder *serve(void **state, unsigned workers);

/* Waits until so many workers wait for connections, and puts them into responder->worker. */
void await_workers(struct responder *responder, unsigned workers);

/* Waits until all workers wait for something: then they have seen all that was sent before. */
void settle(const struct responder *responder);

/* How many connections a worker has. */
unsigned connections_of(const struct responder *responder, unsigned worker);

/* Processor time that a process has used. */
long cpu_ms(pid_t pid);

/* Has the responder started that is built with faults, tests/faults; until the end of the program.
 */
void use_faulty_responder(void);

/* Waits until a worker is replaced by another, while so many of them stay what they were. */
void await_replacement(struct responder *responder, pid_t worker);

/* Waits until it has exited. Returns its status, or 128 and the signal that ended it. */
int await_exit(struct responder *responder);

/* Waits until a process is gone that need not be a child. */
void await_end_of(pid_t pid);

/* A kept connection that a certain worker serves, since the others do not run meanwhile. */
struct client *open_to(struct responder *responder, unsigned worker);

/* SIGSTOP, once it waits for something, and waits for it to have worked; SIGCONT. */
void freeze(pid_t pid);
void thaw(pid_t pid);

/* What it has written to standard output and standard error, NUL-terminated. */
const char *output_of(struct responder *responder);
const char *log_of(struct responder *responder);
size_t lines_in(const char *text);

/* A text with '?' for what does not belong into a failure's message. */
const char *printable(const char *text);

void expect_exit(struct responder *responder, int status);
void expect_empty_log(struct responder *responder);

/* Waits for the exit of a stopped service, of which there is nothing to say. */
void expect_quiet_exit(struct responder *responder);

/*
 * The invariants at the end of a test of a running service: when all clients are gone, the workers
 * are those of the start, hold no descriptor more than then, answer, stop when told, and nothing
 * was logged.
 */
void expect_unharmed(struct responder *responder);

/* --- The client --- */

struct answer {
    int status; /* of HTTP */
    const char *body;
};

struct client {
    int fd;
    uint16_t id;    /* of the request that was asked for last */
    bool head_only; /* it was a HEAD */
    bool ended;     /* the responder has closed the connection */
    bool answered;  /* sent, received are those of a request that is done */
    struct bytes *sent, *received, *output;
    size_t taken; /* of received */
    struct answer answer;
    struct client *next;
};

struct record {
    uint8_t type;
    uint16_t id;
    const uint8_t *content; /* until the next call for this client */
    size_t length;
};

struct client *client_open(struct responder *responder);
void client_close(struct client *client);

/* Sends, unless the responder has closed the connection: then the expectation behind it fails. */
void client_send(struct client *client, const void *data, size_t length);

/* The same for all of the bytes, those before end, and those from start on. */
void client_send_all(struct client *client, const struct bytes *bytes);
void client_send_until(struct client *client, const struct bytes *bytes, size_t end);
void client_send_from(struct client *client, const struct bytes *bytes, size_t start);

/* Sends a request, whole. */
void client_ask(struct client *client, const struct request *request);

/* Receives what is there. false at the end of the connection. */
bool client_receive(struct client *client);

/* Whether a whole answer is there. */
bool client_has_answer(const struct client *client);

/* Waits until the responder has read all that was sent. */
void await_read(const struct client *client);

/* Waits for a record; fails where the connection ends first. */
struct record expect_record(struct client *client, const char *expected);

enum { ANY_STATUS = 0 };

/* Waits for a whole answer, with that status and, unless it is NULL, that body. Whatever is asked
 * for, an answer of which something is missing fails. */
void expect_answer(struct client *client, int status, const char *body);

/* Waits for the greeting, whole, or for the end of the connection with nothing before it. */
void expect_greeting_or_end(struct client *client);

/* Sends a request that is to be greeted, and waits for that. */
void expect_greeting(struct client *client, const struct request *request);

/* The same, and that nothing delays it. */
void expect_prompt_greeting(struct client *client, const struct request *request);

/* What the responder says behind the last answer on a connection that was to be kept. */
bool is_farewell(struct record record);

/* Waits for the end of the connection, before which nothing more comes but such a farewell. */
void expect_closed(struct client *client);

/* Waits for the end of the connection, whatever comes before. */
void await_end(struct client *client);

/* That nothing comes for so long. */
void expect_silence(struct client *client, int ms);

/* Fails with what the client has sent and received; expected is a phrase. */
void fail_client(const struct client *client, const char *expected);

/* A CGI response of which nothing is missing, in what a program printed. */
bool parse_answer(const char *printed, size_t length, bool head_only, struct answer *answer);

#endif
