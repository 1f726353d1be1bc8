#include "client.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <linux/close_range.h>
#include <poll.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

const struct request kept = {.keep = true}, unkept = {.keep = false};

int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void wait_a_moment(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

/* --- What is sent --------------------------------------------------------------------------- */

static struct bytes *all_bytes;

struct bytes *bytes_new(void)
{
    struct bytes *bytes = calloc(1, sizeof(*bytes));
    assert_non_null(bytes);
    bytes->next = all_bytes;
    all_bytes = bytes;
    bytes_add(bytes, "", 0);
    return bytes;
}

static void free_all_bytes(void)
{
    while (all_bytes) {
        struct bytes *bytes = all_bytes;
        all_bytes = bytes->next;
        free(bytes->data);
        free(bytes);
    }
}

void bytes_add(struct bytes *bytes, const void *data, size_t length)
{
    if (bytes->length + length >= bytes->size) {
        bytes->size = 2 * (bytes->length + length) + 64;
        bytes->data = realloc(bytes->data, bytes->size);
        assert_non_null(bytes->data);
    }
    memcpy(bytes->data + bytes->length, data, length);
    bytes->length += length;
    bytes->data[bytes->length] = '\0';
}

void add_record(struct bytes *bytes, uint8_t type, uint16_t id, const void *content, size_t length,
                uint8_t padding)
{
    static const uint8_t zeros[UINT8_MAX];
    const FCGI_Header header = {.version = FCGI_VERSION_1,
                                .type = type,
                                .requestIdB1 = (uint8_t)(id >> 8),
                                .requestIdB0 = (uint8_t)id,
                                .contentLengthB1 = (uint8_t)(length >> 8),
                                .contentLengthB0 = (uint8_t)length,
                                .paddingLength = padding};
    bytes_add(bytes, &header, sizeof(header));
    bytes_add(bytes, content, length);
    bytes_add(bytes, zeros, padding);
}

void add_begin(struct bytes *bytes, uint16_t id, uint16_t role, uint8_t flags, uint8_t padding)
{
    const FCGI_BeginRequestBody body = {
        .roleB1 = (uint8_t)(role >> 8), .roleB0 = (uint8_t)role, .flags = flags};
    add_record(bytes, FCGI_BEGIN_REQUEST, id, &body, sizeof(body), padding);
}

void add_long_length(struct bytes *bytes, uint32_t length)
{
    const uint8_t digits[] = {(uint8_t)(length >> 24 | 0x80), (uint8_t)(length >> 16),
                              (uint8_t)(length >> 8), (uint8_t)length};
    bytes_add(bytes, digits, sizeof(digits));
}

static void add_length(struct bytes *bytes, size_t length)
{
    const uint8_t digit = (uint8_t)length;
    if (length > 127)
        add_long_length(bytes, (uint32_t)length);
    else
        bytes_add(bytes, &digit, 1);
}

void add_pair(struct bytes *bytes, const char *name, const char *value)
{
    add_length(bytes, strlen(name));
    add_length(bytes, strlen(value));
    bytes_add(bytes, name, strlen(name));
    bytes_add(bytes, value, strlen(value));
}

static uint16_t id_of(const struct request *request)
{
    return request->id ? request->id : 1;
}

void add_stream(struct bytes *bytes, uint8_t type, const struct bytes *content,
                const struct request *request)
{
    const size_t most = request->record_max ? request->record_max : FCGI_MAX_LENGTH;
    for (size_t at = 0; at < content->length; at += most) {
        const size_t left = content->length - at;
        add_record(bytes, type, id_of(request), content->data + at, left < most ? left : most,
                   request->padding);
    }
    add_record(bytes, type, id_of(request), "", 0, request->pad_all ? request->padding : 0);
}

static struct bytes *body_of(const struct request *request)
{
    struct bytes *body = bytes_new();
    for (size_t i = 0; i < request->body; i++)
        bytes_add(body, "x", 1);
    if (request->content)
        bytes_add(body, request->content, strlen(request->content));
    return body;
}

static struct bytes *parameters_of(const struct request *request, size_t body)
{
    struct bytes *parameters = bytes_new();
    char length[24];
    snprintf(length, sizeof(length), "%zu", body);
    add_pair(parameters, "REQUEST_METHOD", request->method ? request->method : "GET");
    if (request->more)
        bytes_add(parameters, request->more->data, request->more->length);
    if (request->content_length)
        add_pair(parameters, "CONTENT_LENGTH", request->content_length);
    else if (body > 0)
        add_pair(parameters, "CONTENT_LENGTH", length);
    if (request->type)
        add_pair(parameters, "CONTENT_TYPE", request->type);
    add_pair(parameters, "REQUEST_URI", request->target ? request->target : "/");
    return parameters;
}

struct bytes *request_bytes(const struct request *request)
{
    struct bytes *bytes = bytes_new();
    struct bytes *body = body_of(request);
    add_begin(bytes, id_of(request), FCGI_RESPONDER, request->keep ? FCGI_KEEP_CONN : 0,
              request->pad_all ? request->padding : 0);
    add_stream(bytes, FCGI_PARAMS, parameters_of(request, body->length), request);
    add_stream(bytes, FCGI_STDIN, body, request);
    return bytes;
}

/* --- The responder -------------------------------------------------------------------------- */

enum { PATH_SIZE = 64, WORDS_MOST = 24 };

static void path_of(const struct responder *responder, const char *name, char path[PATH_SIZE])
{
    snprintf(path, PATH_SIZE, "%s/%s", responder->directory, name);
}

static struct sockaddr_un address_of(const struct responder *responder)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    path_of(responder, "socket", address.sun_path);
    return address;
}

/* Many clients need many descriptors; the responder gets descriptors_max of them. */
static void raise_descriptors(void)
{
    struct rlimit limit;
    assert_int_equal(0, getrlimit(RLIMIT_NOFILE, &limit));
    limit.rlim_cur = limit.rlim_max;
    assert_int_equal(0, setrlimit(RLIMIT_NOFILE, &limit));
}

bool enough_descriptors(void)
{
    struct rlimit limit;
    assert_int_equal(0, getrlimit(RLIMIT_NOFILE, &limit));
    return limit.rlim_cur > CONNECTIONS_MAX + 64;
}

int setup(void **state)
{
    struct responder *responder = calloc(1, sizeof(*responder));
    assert_non_null(responder);
    *state = responder;
    raise_descriptors();
    prctl(PR_SET_CHILD_SUBREAPER, 1); /* workers whose parent was killed become children of this */
    responder->descriptors_max = 2048;
    strcpy(responder->directory, "/tmp/hello-fcgi-wire-XXXXXX");
    assert_non_null(mkdtemp(responder->directory));
    const struct sockaddr_un address = address_of(responder);
    responder->listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(
        0, bind(responder->listening, (const struct sockaddr *)&address, sizeof(address)));
    assert_int_equal(0, listen(responder->listening, SOMAXCONN));
    return 0;
}

static size_t children_of(pid_t parent, pid_t *children, size_t size)
{
    char path[PATH_SIZE];
    size_t count = 0;
    snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)parent, (int)parent);
    FILE *file = fopen(path, "re");
    if (!file)
        return 0;
    while (count < size && fscanf(file, "%d", &children[count]) == 1)
        count++;
    fclose(file);
    return count;
}

/* The parent first, since it would replace the workers; they then are children of this. */
static void kill_all(struct responder *responder)
{
    pid_t children[WORKERS_MOST];
    if (responder->pid > 0)
        kill(responder->pid, SIGKILL);
    if (responder->pid > 0)
        waitpid(responder->pid, NULL, 0);
    for (size_t count; (count = children_of(getpid(), children, WORKERS_MOST)) > 0;)
        for (size_t i = 0; i < count; i++)
            if (kill(children[i], SIGKILL) == 0)
                waitpid(children[i], NULL, 0);
}

static void remove_directory(const struct responder *responder)
{
    static const char *const names[] = {"socket", "stdin", "stdout", "stderr"};
    char path[PATH_SIZE];
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        path_of(responder, names[i], path);
        unlink(path);
    }
    rmdir(responder->directory);
}

int teardown(void **state)
{
    struct responder *responder = *state;
    kill_all(responder);
    while (responder->clients) {
        struct client *client = responder->clients;
        responder->clients = client->next;
        client_close(client);
        free(client);
    }
    close(responder->listening);
    remove_directory(responder);
    free_all_bytes();
    free(responder);
    return 0;
}

static int open_for(const struct responder *responder, const char *name, int flags)
{
    char path[PATH_SIZE];
    path_of(responder, name, path);
    const int fd = open(path, flags | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    return fd;
}

struct words {
    char *arguments[WORDS_MOST], *environment[WORDS_MOST];
    size_t argument_count, environment_count;
};

static void add_word(struct words *words, const char *word)
{
    if (strchr(word, '='))
        words->environment[words->environment_count++] = (char *)word;
    else
        words->arguments[words->argument_count++] = (char *)word;
    assert_true(words->argument_count < WORDS_MOST && words->environment_count < WORDS_MOST);
}

const char *program(void)
{
    static char path[PATH_MAX];
    const char *named = getenv("RESPONDER");
    if (!*path)
        snprintf(path, sizeof(path), "%s", named ? named : "build/responder");
    return path;
}

const char *faulty_program(void)
{
    static char path[PATH_MAX + 64], directory[PATH_MAX];
    snprintf(directory, sizeof(directory), "%s", program());
    snprintf(path, sizeof(path), "%s/tests/faulty_responder", dirname(directory));
    return path;
}

/* As an old kernel does, or an engine whose own filter does not know the call. */
static void refuse_seccomp(uint16_t error)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    seccomp_rule_add(filter, SCMP_ACT_ERRNO(error), SCMP_SYS(seccomp), 0);
    seccomp_rule_add(filter, SCMP_ACT_ERRNO(error), SCMP_SYS(prctl), 1,
                     SCMP_A0(SCMP_CMP_EQ, PR_SET_SECCOMP));
    seccomp_load(filter);
    seccomp_release(filter);
}

static struct words words_from(const char *const list[])
{
    struct words words = {0};
    const char *program = getenv("RESPONDER");
    add_word(&words, program ? program : "build/responder");
    for (; *list; list++)
        add_word(&words, *list);
    if (geteuid() != 0) /* who counts the descriptors of the sandbox's processes */
        add_word(&words, "SANDBOX=off");
    for (char **variable = environ; *variable; variable++) /* should it have sanitizers */
        if (strstr(*variable, "SAN_OPTIONS="))
            add_word(&words, *variable);
    return words;
}

/* What the test was started with: ignored and blocked signals, descriptors. */
static void forget_inheritance(void)
{
    sigset_t none;
    sigemptyset(&none);
    for (int signal = 1; signal < NSIG; signal++)
        sigaction(signal, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
    sigprocmask(SIG_SETMASK, &none, NULL);
    close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
}

static void become_responder(const struct responder *responder, int input, int output, int log,
                             struct words *words)
{
    const struct rlimit limit = {responder->descriptors_max, responder->descriptors_max};
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* should the test program itself be killed */
    dup2(input, STDIN_FILENO);
    dup2(output, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    if (responder->without_streams) {
        close(STDOUT_FILENO);
        close(STDERR_FILENO);
    }
    if (responder->traced)
        ptrace(PTRACE_TRACEME, 0, NULL, NULL);
    forget_inheritance();
    if (responder->seccomp_error)
        refuse_seccomp((uint16_t)responder->seccomp_error);
    setrlimit(RLIMIT_NOFILE, &limit);
    execve(words->arguments[0], words->arguments, words->environment);
    _exit(127);
}

static void spawn(struct responder *responder, int input, struct words words)
{
    const int output = open_for(responder, "stdout", O_WRONLY | O_TRUNC);
    const int log = open_for(responder, "stderr", O_WRONLY | O_TRUNC | O_APPEND);
    responder->pid = fork();
    if (responder->pid == 0)
        become_responder(responder, input, output, log, &words);
    assert_true(responder->pid > 0);
    close(output);
    close(log);
}

void start(struct responder *responder, const char *const words[])
{
    spawn(responder, responder->listening, words_from(words));
}

static int input_of(const struct responder *responder, const struct bytes *input)
{
    if (!input)
        return open("/dev/null", O_RDONLY | O_CLOEXEC);
    const int fd = open_for(responder, "stdin", O_RDWR | O_TRUNC);
    assert_int_equal(input->length, write(fd, input->data, input->length));
    assert_int_equal(0, lseek(fd, 0, SEEK_SET));
    return fd;
}

int run(struct responder *responder, const struct bytes *input, const char *const words[])
{
    const int fd = input_of(responder, input);
    spawn(responder, fd, words_from(words));
    close(fd);
    return await_exit(responder);
}

struct responder *serve_and_log(void **state, unsigned workers, const char *log_level)
{
    struct responder *responder = *state;
    char variables[2][32];
    snprintf(variables[0], sizeof(variables[0]), "WORKERS=%u", workers);
    snprintf(variables[1], sizeof(variables[1]), "LOG_LEVEL=%s", log_level);
    start(responder, WORDS(variables[0], variables[1]));
    await_workers(responder, workers);
    return responder;
}

struct responder *serve(void **state, unsigned workers)
{
    return serve_and_log(state, workers, "error");
}

static unsigned descriptors_of(pid_t pid)
{
    char path[PATH_SIZE];
    unsigned count = 0;
    snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
    DIR *directory = opendir(path);
    if (!directory)
        return 0;
    for (const struct dirent *entry; (entry = readdir(directory));)
        count += entry->d_name[0] != '.';
    closedir(directory);
    return count;
}

unsigned connections_of(const struct responder *responder, unsigned worker)
{
    return descriptors_of(responder->worker[worker]) - responder->idle_descriptors;
}

long cpu_ms(pid_t pid)
{
    char path[PATH_SIZE];
    long user = 0;
    long system = 0;
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    assert_int_equal(2, fscanf(file,
                               "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %ld %ld",
                               &user, &system));
    fclose(file);
    return (user + system) * 1000 / sysconf(_SC_CLK_TCK);
}

void use_faulty_responder(void)
{
    const char *program = getenv("RESPONDER");
    struct bytes *path = bytes_new();
    bytes_add(path, program ? program : "build/responder",
              strlen(program ? program : "build/responder"));
    struct bytes *faulty = bytes_new();
    bytes_add(faulty, path->data, (size_t)(strrchr((char *)path->data, '/') - (char *)path->data));
    bytes_add(faulty, "/tests/faulty_responder", strlen("/tests/faulty_responder"));
    setenv("RESPONDER", (const char *)faulty->data, 1);
    free_all_bytes();
}

static bool workers_wait(struct responder *responder, unsigned workers)
{
    const size_t count = children_of(responder->pid, responder->worker, WORKERS_MOST);
    responder->workers = (unsigned)count;
    for (size_t i = 0; i < count; i++)
        if (descriptors_of(responder->worker[i]) < STARTED_DESCRIPTORS)
            return false;
    return count == workers;
}

void await_workers(struct responder *responder, unsigned workers)
{
    await(workers_wait(responder, workers),
          "%u workers are to wait for connections, not %u; log: %s", workers, responder->workers,
          printable(log_of(responder)));
    responder->idle_descriptors = descriptors_of(responder->worker[0]);
}

static bool is_worker(const struct responder *responder, pid_t pid)
{
    for (unsigned i = 0; i < responder->workers; i++)
        if (responder->worker[i] == pid)
            return true;
    return false;
}

void await_replacement(struct responder *responder, pid_t worker)
{
    const unsigned workers = responder->workers;
    await(workers_wait(responder, workers) && !is_worker(responder, worker),
          "worker %d is to be replaced, so that there are %u; there are %u; log: %s", (int)worker,
          workers, responder->workers, printable(log_of(responder)));
}

static int open_process(pid_t pid)
{
    return (int)syscall(SYS_pidfd_open, pid, 0);
}

/* false after the deadline */
static bool await_process(int pidfd)
{
    struct pollfd end = {.fd = pidfd, .events = POLLIN};
    const int ready = poll(&end, 1, DEADLINE_MS);
    close(pidfd);
    return ready > 0;
}

int await_exit(struct responder *responder)
{
    int status;
    if (!await_process(open_process(responder->pid)))
        fail_msg("responder %d still runs after %d ms; log: %s", (int)responder->pid, DEADLINE_MS,
                 printable(log_of(responder)));
    assert_int_equal(responder->pid, waitpid(responder->pid, &status, 0));
    responder->pid = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void await_end_of(pid_t pid)
{
    const int pidfd = open_process(pid);
    if (pidfd >= 0 && !await_process(pidfd))
        fail_msg("process %d is still there after %d ms", (int)pid, DEADLINE_MS);
}

static char state_of(pid_t pid)
{
    char path[PATH_SIZE];
    char state = 0;
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "re");
    if (!file)
        return 0;
    if (fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
        state = 0;
    fclose(file);
    return state;
}

static void await_state(pid_t pid, char state)
{
    await(state_of(pid) == state, "process %d is to be in state %c, not %c", (int)pid, state,
          state_of(pid));
}

/* A send sets the process that it wakes running before it returns. */
void settle(const struct responder *responder)
{
    for (unsigned i = 0; i < responder->workers; i++)
        await_state(responder->worker[i], 'S');
}

void freeze(pid_t pid)
{
    await_state(pid, 'S');
    kill(pid, SIGSTOP);
    await_state(pid, 'T');
}

void thaw(pid_t pid)
{
    kill(pid, SIGCONT);
}

static const char *text_of(const struct responder *responder, const char *name)
{
    struct bytes *text = bytes_new();
    char chunk[4096];
    const int fd = open_for(responder, name, O_RDONLY);
    for (ssize_t count; (count = read(fd, chunk, sizeof(chunk))) > 0;)
        bytes_add(text, chunk, (size_t)count);
    close(fd);
    return (const char *)text->data;
}

const char *output_of(struct responder *responder)
{
    return text_of(responder, "stdout");
}

const char *log_of(struct responder *responder)
{
    return text_of(responder, "stderr");
}

const char *printable(const char *text)
{
    struct bytes *copy = bytes_new();
    bytes_add(copy, text, strlen(text));
    for (size_t i = 0; i < copy->length; i++)
        if ((copy->data[i] < ' ' && !strchr("\t\r\n", copy->data[i])) || copy->data[i] > '~')
            copy->data[i] = '?';
    return (const char *)copy->data;
}

size_t lines_in(const char *text)
{
    size_t lines = 0;
    for (; *text; text++)
        lines += *text == '\n';
    return lines;
}

void expect_exit(struct responder *responder, int status)
{
    const int actual = await_exit(responder);
    if (actual != status)
        fail_msg("expected exit status %d, got %d; log: %s", status, actual,
                 printable(log_of(responder)));
}

void expect_empty_log(struct responder *responder)
{
    const char *log = log_of(responder);
    if (*log)
        fail_msg("nothing is to be logged, got: %s", printable(log));
}

void expect_quiet_exit(struct responder *responder)
{
    expect_exit(responder, EX_OK);
    expect_empty_log(responder);
}

static void expect_same_workers(struct responder *responder)
{
    const struct responder before = *responder;
    await_workers(responder, before.workers);
    for (unsigned i = 0; i < before.workers; i++)
        if (!is_worker(responder, before.worker[i]))
            fail_msg("worker %d is gone; log: %s", (int)before.worker[i],
                     printable(log_of(responder)));
    responder->idle_descriptors = before.idle_descriptors;
}

static void expect_no_leak(const struct responder *responder)
{
    for (unsigned i = 0; i < responder->workers; i++) {
        const pid_t worker = responder->worker[i];
        await(descriptors_of(worker) == responder->idle_descriptors,
              "worker %d holds %u descriptors without any client, %u at its start", (int)worker,
              descriptors_of(worker), responder->idle_descriptors);
    }
}

void expect_unharmed(struct responder *responder)
{
    for (struct client *client = responder->clients; client; client = client->next)
        client_close(client);
    expect_same_workers(responder);
    expect_no_leak(responder);
    struct client *client = client_open(responder);
    expect_greeting(client, &unkept);
    expect_closed(client);
    kill(responder->pid, SIGTERM);
    expect_quiet_exit(responder);
}

/* --- The client ----------------------------------------------------------------------------- */

struct client *client_open(struct responder *responder)
{
    const struct timeval timeout = {.tv_sec = DEADLINE_MS / 1000};
    const struct sockaddr_un address = address_of(responder);
    struct client *client = calloc(1, sizeof(*client));
    assert_non_null(client);
    client->next = responder->clients;
    responder->clients = client;
    client->id = 1;
    client->sent = bytes_new();
    client->received = bytes_new();
    client->output = bytes_new();
    client->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(0, setsockopt(client->fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)));
    if (connect(client->fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
        fail_msg("connect: %s; log: %s", strerror(errno), printable(log_of(responder)));
    return client;
}

struct client *open_to(struct responder *responder, unsigned worker)
{
    for (unsigned i = 0; i < responder->workers; i++)
        if (i != worker)
            freeze(responder->worker[i]);
    struct client *client = client_open(responder);
    expect_greeting(client, &kept);
    for (unsigned i = 0; i < responder->workers; i++)
        if (i != worker)
            thaw(responder->worker[i]);
    return client;
}

void client_close(struct client *client)
{
    if (client->fd >= 0)
        close(client->fd);
    client->fd = -1;
}

static void add_text(struct bytes *text, const char *format, ...)
{
    char piece[128];
    va_list arguments;
    va_start(arguments, format);
    const int length = vsnprintf(piece, sizeof(piece), format, arguments);
    va_end(arguments);
    bytes_add(text, piece, (size_t)length < sizeof(piece) ? (size_t)length : sizeof(piece) - 1);
}

static void describe_record(struct bytes *text, const uint8_t *record, size_t length)
{
    static const char *const types[] = {"type 0",
                                        "BEGIN_REQUEST",
                                        "ABORT_REQUEST",
                                        "END_REQUEST",
                                        "PARAMS",
                                        "STDIN",
                                        "STDOUT",
                                        "STDERR",
                                        "DATA",
                                        "GET_VALUES",
                                        "GET_VALUES_RESULT",
                                        "UNKNOWN_TYPE"};
    const bool known = record[1] < sizeof(types) / sizeof(types[0]);
    add_text(text, "%s(id %d, %zu bytes) ", known ? types[record[1]] : "unknown type",
             record[2] << 8 | record[3], length);
    if (record[1] == FCGI_STDOUT && length > 0)
        bytes_add(text, record + FCGI_HEADER_LEN, length);
}

/* Bytes as the records that they are. */
static const char *describe(const struct bytes *bytes)
{
    enum { RECORDS_MOST = 24 };
    struct bytes *text = bytes_new();
    size_t at = 0;
    for (int i = 0; i < RECORDS_MOST && at + FCGI_HEADER_LEN <= bytes->length; i++) {
        const uint8_t *record = bytes->data + at;
        const size_t length = (size_t)record[4] << 8 | record[5];
        if (record[0] != FCGI_VERSION_1 || at + FCGI_HEADER_LEN + length > bytes->length)
            break;
        describe_record(text, record, length);
        at += FCGI_HEADER_LEN + length + record[6];
    }
    if (at < bytes->length)
        add_text(text, at ? "and %zu bytes more" : "%zu bytes", bytes->length - at);
    return text->length ? printable((const char *)text->data) : "nothing";
}

void fail_client(const struct client *client, const char *expected)
{
    fail_msg("sent:     %s\nexpected: %s\ngot:      %s%s", describe(client->sent), expected,
             describe(client->received), client->ended ? ", then the connection's end" : "");
}

/* What has come behind the answer stays. */
static void forget_answered(struct client *client)
{
    struct bytes *received = client->received;
    if (!client->answered)
        return;
    client->answered = false;
    client->sent->length = 0;
    received->length -= client->taken;
    memmove(received->data, received->data + client->taken, received->length + 1);
    client->taken = 0;
}

void client_send(struct client *client, const void *data, size_t length)
{
    forget_answered(client);
    bytes_add(client->sent, data, length);
    for (const uint8_t *bytes = data; length > 0;) {
        struct pollfd room = {.fd = client->fd, .events = POLLOUT};
        const ssize_t count = send(client->fd, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (count > 0) {
            bytes += count;
            length -= (size_t)count;
        } else if (errno != EAGAIN) {
            return;
        } else if (poll(&room, 1, DEADLINE_MS) == 0) {
            fail_client(client, "a responder that reads it all");
        }
    }
}

void client_send_all(struct client *client, const struct bytes *bytes)
{
    client_send(client, bytes->data, bytes->length);
}

void client_send_until(struct client *client, const struct bytes *bytes, size_t end)
{
    client_send(client, bytes->data, end);
}

void client_send_from(struct client *client, const struct bytes *bytes, size_t start)
{
    client_send(client, bytes->data + start, bytes->length - start);
}

void client_ask(struct client *client, const struct request *request)
{
    const struct bytes *bytes = request_bytes(request);
    client->id = id_of(request);
    client->head_only = request->method && strcmp(request->method, "HEAD") == 0;
    client_send_all(client, bytes);
}

bool client_receive(struct client *client)
{
    uint8_t bytes[16384];
    const ssize_t count = recv(client->fd, bytes, sizeof(bytes), 0);
    client->ended = count <= 0;
    if (count > 0)
        bytes_add(client->received, bytes, (size_t)count);
    return count > 0;
}

static bool await_bytes(struct client *client, const char *expected)
{
    struct pollfd ready = {.fd = client->fd, .events = POLLIN};
    if (poll(&ready, 1, DEADLINE_MS) == 0)
        fail_client(client, expected);
    return client_receive(client);
}

/* The length of the record that starts there, 0 as long as it is not whole. */
static size_t record_at(const struct bytes *bytes, size_t at)
{
    if (at + FCGI_HEADER_LEN > bytes->length)
        return 0;
    const uint8_t *header = bytes->data + at;
    const size_t length = FCGI_HEADER_LEN + ((size_t)header[4] << 8 | header[5]) + header[6];
    return at + length <= bytes->length ? length : 0;
}

bool client_has_answer(const struct client *client)
{
    size_t at = client->taken;
    for (size_t length; (length = record_at(client->received, at)) > 0; at += length)
        if (client->received->data[at + 1] == FCGI_END_REQUEST)
            return true;
    return false;
}

static int unread_of(const struct client *client)
{
    int unread = 0;
    assert_int_equal(0, ioctl(client->fd, TIOCOUTQ, &unread));
    return unread;
}

void await_read(const struct client *client)
{
    await(unread_of(client) == 0, "all that was sent is to be read, but %d bytes: %s",
          unread_of(client), describe(client->sent));
}

struct record expect_record(struct client *client, const char *expected)
{
    size_t length;
    while ((length = record_at(client->received, client->taken)) == 0)
        if (!await_bytes(client, expected))
            fail_client(client, expected);
    const uint8_t *header = client->received->data + client->taken;
    if (header[0] != FCGI_VERSION_1)
        fail_client(client, expected);
    client->taken += length;
    return (struct record){.type = header[1],
                           .id = (uint16_t)(header[2] << 8 | header[3]),
                           .content = header + FCGI_HEADER_LEN,
                           .length = (size_t)header[4] << 8 | header[5]};
}

bool is_farewell(struct record record)
{
    static const FCGI_UnknownTypeBody none;
    return record.type == FCGI_UNKNOWN_TYPE && record.id == FCGI_NULL_REQUEST_ID &&
           record.length == sizeof(none) && memcmp(record.content, &none, sizeof(none)) == 0;
}

/* Collects the FCGI_STDOUT stream up to FCGI_END_REQUEST. */
static void take_output(struct client *client, const char *expected)
{
    static const FCGI_EndRequestBody complete = {.protocolStatus = FCGI_REQUEST_COMPLETE};
    bool whole = false;
    struct record record;
    client->output->length = 0;
    bytes_add(client->output, "", 0);
    while ((record = expect_record(client, expected)).type == FCGI_STDOUT) {
        if (record.id != client->id || whole)
            fail_client(client, expected);
        whole = record.length == 0;
        bytes_add(client->output, record.content, record.length);
    }
    if (!whole || record.type != FCGI_END_REQUEST || record.id != client->id ||
        record.length != sizeof(complete) ||
        memcmp(record.content, &complete, sizeof(complete)) != 0)
        fail_client(client, expected);
}

bool parse_answer(const char *printed, size_t length, bool head_only, struct answer *answer)
{
    const char *end = strstr(printed, "\r\n\r\n");
    if (!end || sscanf(printed, "Status: %3d ", &answer->status) != 1)
        return false;
    answer->body = end + 4;
    const size_t body = length - (size_t)(answer->body - printed);
    const char *field = strstr(printed, "\r\nContent-Length: ");
    if (!field || field > end)
        return body == 0 && (answer->status == 204 || answer->status == 304);
    const size_t declared = strtoul(strchr(field, ':') + 1, NULL, 10);
    return head_only ? body == 0 && declared > 0 : body == declared;
}

void expect_answer(struct client *client, int status, const char *body)
{
    char expected[256];
    snprintf(expected, sizeof(expected), "status %d %s", status, body ? body : "");
    take_output(client, expected);
    struct answer *answer = &client->answer;
    if (!parse_answer((const char *)client->output->data, client->output->length, client->head_only,
                      answer))
        fail_client(client, "an answer of which nothing is missing");
    if ((status != ANY_STATUS && answer->status != status) ||
        (body && strcmp(answer->body, body) != 0))
        fail_client(client, expected);
    client->answered = true;
}

void expect_greeting_or_end(struct client *client)
{
    if (!client->ended && await_bytes(client, "a greeting or the connection's end"))
        expect_answer(client, 200, "Hello World\n");
}

void expect_greeting(struct client *client, const struct request *request)
{
    client_ask(client, request);
    expect_answer(client, 200, "Hello World\n");
}

void expect_prompt_greeting(struct client *client, const struct request *request)
{
    const int64_t began_ms = now_ms();
    expect_greeting(client, request);
    const int64_t took = now_ms() - began_ms;
    if (took > PROMPT_MS)
        fail_msg("answered after %d ms; nothing was to delay it", (int)took);
}

static bool comes_more(struct client *client, const char *expected)
{
    return client->received->length > client->taken || await_bytes(client, expected);
}

void expect_closed(struct client *client)
{
    const char *expected = "no more than this and the connection's end";
    if (comes_more(client, expected) &&
        (!is_farewell(expect_record(client, expected)) || comes_more(client, expected)))
        fail_client(client, expected);
}

void await_end(struct client *client)
{
    while (await_bytes(client, "the connection's end"))
        continue;
}

void expect_silence(struct client *client, int ms)
{
    struct pollfd ready = {.fd = client->fd, .events = POLLIN};
    if (client->received->length == client->taken && poll(&ready, 1, ms) == 0)
        return;
    client_receive(client);
    fail_client(client, "no more than this yet");
}
