#include "metrics.h"

#include "core/version.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* OpenTelemetry's advice begins at 5 ms, which none of these requests takes. */
static const struct {
    int64_t ns;
    const char *le;
} buckets[BUCKETS] = {
    {100000, "0.0001"},  {250000, "0.00025"}, {500000, "0.0005"},  {1000000, "0.001"},
    {2500000, "0.0025"}, {5000000, "0.005"},  {10000000, "0.01"},  {25000000, "0.025"},
    {50000000, "0.05"},  {100000000, "0.1"},  {250000000, "0.25"}, {500000000, "0.5"},
    {1000000000, "1"},   {2500000000, "2.5"}, {5000000000, "5"},   {10000000000, "10"},
    {INT64_MAX, "+Inf"},
};

static size_t bucket_index(int64_t ns)
{
    size_t i = 0;
    while (ns > buckets[i].ns)
        i++;
    return i;
}

void metrics_count(struct traffic *traffic, const struct request *request,
                   const struct response *response, int64_t duration_ns)
{
    const size_t route = response->route ? (size_t)(response->route - routes) : ROUTES;
    count(&traffic->requests[route][method_index(request->method)][status_index(response->status)],
          1);
    count(&traffic->durations[route][bucket_index(duration_ns)], 1);
    count(&traffic->seconds_e9[route], (uint64_t)duration_ns);
    count(&traffic->request_bytes, request->body_length);
    count(&traffic->response_bytes, response->head_only ? 0 : response->body.length);
}

static uint64_t cpu_ns_of(pid_t pid)
{
    clockid_t clock;
    struct timespec used = {.tv_sec = 0};
    if (clock_getcpuclockid(pid, &clock) == 0)
        clock_gettime(clock, &used);
    return (uint64_t)used.tv_sec * 1000000000 + (uint64_t)used.tv_nsec;
}

/* The second number is the resident pages. */
static uint64_t memory_of(pid_t pid)
{
    char path[32], pages[128];
    snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    const ssize_t length = fd < 0 ? -1 : read(fd, pages, sizeof(pages) - 1);
    if (fd >= 0)
        close(fd);
    if (length <= 0)
        return 0;
    pages[length] = '\0';
    const char *resident = strchr(pages, ' ');
    return resident ? strtoull(resident, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}

/* Never goes back: the clocks of the same process differ by less than a microsecond. */
static void note_cpu(struct usage *usage, uint64_t cpu_ns)
{
    cpu_ns += usage->earlier_ns;
    if (cpu_ns > usage->cpu_ns)
        atomic_store(&usage->cpu_ns, cpu_ns);
}

void metrics_look(pid_t pid, struct usage *usage)
{
    note_cpu(usage, cpu_ns_of(pid));
    atomic_store(&usage->memory, memory_of(pid));
}

void metrics_bury(const struct rusage *used, struct usage *usage)
{
    const uint64_t seconds = (uint64_t)(used->ru_utime.tv_sec + used->ru_stime.tv_sec);
    const uint64_t us = (uint64_t)(used->ru_utime.tv_usec + used->ru_stime.tv_usec);
    note_cpu(usage, seconds * 1000000000 + us * 1000);
    usage->earlier_ns = usage->cpu_ns;
    atomic_store(&usage->memory, 0);
    atomic_store(&usage->descriptors, 0);
}

static void add_usage(struct usage *sum, const struct usage *usage)
{
    count(&sum->cpu_ns, usage->cpu_ns);
    count(&sum->memory, usage->memory);
    count(&sum->descriptors, usage->descriptors);
}

/* struct traffic is nothing but counters. */
static void add_traffic(struct traffic *sum, const struct traffic *traffic)
{
    counter *to = (counter *)sum;
    const counter *from = (const counter *)traffic;
    for (size_t i = 0; i < sizeof(*sum) / sizeof(*to); i++)
        count(&to[i], atomic_load_explicit(&from[i], memory_order_relaxed));
}

__attribute__((format(printf, 2, 3))) static void add(struct text *text, const char *format, ...)
{
    char line[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    text_add(text, line);
}

static void describe(struct text *text, const char *name, const char *type, const char *help)
{
    add(text, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void add_one(struct text *text, const char *name, const char *type, const char *help,
                    uint64_t value)
{
    describe(text, name, type, help);
    add(text, "%s %" PRIu64 "\n", name, value);
}

/* Whole units and billionths. */
static void add_seconds(struct text *text, uint64_t ns)
{
    add(text, " %" PRIu64 ".%09" PRIu64 "\n", ns / 1000000000, ns % 1000000000);
}

static const char *route_label(size_t route)
{
    return route < ROUTES ? routes[route].path : "";
}

static void add_requests_of(struct text *text, const struct traffic *traffic, size_t route)
{
    for (size_t method = 0; method < METHODS; method++) {
        for (size_t i = 0; i < STATUSES; i++) {
            const uint64_t number = traffic->requests[route][method][i];
            if (number > 0)
                add(text,
                    "http_server_requests_total{http_route=\"%s\",http_request_method=\"%s\","
                    "http_response_status_code=\"%d\"} %" PRIu64 "\n",
                    route_label(route), methods[method], statuses[i].code, number);
        }
    }
}

static void add_requests(struct text *text, const struct traffic *traffic)
{
    describe(text, "http_server_requests_total", "counter", "Requests that workers answered.");
    for (size_t route = 0; route <= ROUTES; route++)
        add_requests_of(text, traffic, route);
}

static void add_durations_of(struct text *text, const struct traffic *traffic, size_t route)
{
    static const char name[] = "http_server_request_duration_seconds";
    const char *label = route_label(route);
    uint64_t number = 0;
    for (size_t i = 0; i < BUCKETS; i++)
        number += traffic->durations[route][i];
    if (number == 0)
        return;
    number = 0;
    for (size_t i = 0; i < BUCKETS; i++) {
        number += traffic->durations[route][i];
        add(text, "%s_bucket{http_route=\"%s\",le=\"%s\"} %" PRIu64 "\n", name, label,
            buckets[i].le, number);
    }
    add(text, "%s_sum{http_route=\"%s\"}", name, label);
    add_seconds(text, traffic->seconds_e9[route]);
    add(text, "%s_count{http_route=\"%s\"} %" PRIu64 "\n", name, label, number);
}

static void add_durations(struct text *text, const struct traffic *traffic)
{
    describe(text, "http_server_request_duration_seconds", "histogram",
             "From the whole request to its answer, in a worker.");
    for (size_t route = 0; route <= ROUTES; route++)
        add_durations_of(text, traffic, route);
}

static void add_traffic_totals(struct text *text, const struct traffic *traffic, uint64_t active)
{
    add_one(text, "http_server_request_body_bytes_total", "counter", "Of bodies that came.",
            traffic->request_bytes);
    add_one(text, "http_server_response_body_bytes_total", "counter", "Of bodies that were sent.",
            traffic->response_bytes);
    add_one(text, "http_server_active_requests", "gauge", "Requests in hand.", active);
    add_one(text, "fastcgi_connections_accepted_total", "counter", "Connections from nginx.",
            traffic->accepted);
    add_one(text, "fastcgi_connections", "gauge", "Connections that are open.",
            traffic->connections);
}

static void add_waiting(struct text *text, const struct shared *shared)
{
    uint64_t workers = 0, busy = 0;
    for (int i = 0; i < shared->slots_used; i++) {
        const struct activity *activity = &shared->slots[i].activity;
        workers += activity->waits;
        busy += activity->waits && activity->fingerprint != 0;
    }
    add_one(text, "responder_waiting_workers", "gauge", "For routes that wait.", workers);
    add_one(text, "responder_waiting_workers_busy", "gauge", "Of these, with a request in hand.",
            busy);
}

static void add_workers(struct text *text, const struct shared *shared)
{
    static const char deaths[] = "responder_worker_deaths_total";
    const uint64_t exited = shared->deaths.exited, killed = shared->deaths.killed,
                   hung = shared->deaths.hung, started = shared->started;
    add_one(text, "responder_workers", "gauge", "Workers that run.",
            started - exited - killed - hung);
    add_one(text, "responder_workers_started_total", "counter", "Workers that were started.",
            started);
    describe(text, deaths, "counter", "Workers that ended by themselves, by a signal, or hung.");
    add(text, "%s{cause=\"exited\"} %" PRIu64 "\n", deaths, exited);
    add(text, "%s{cause=\"killed\"} %" PRIu64 "\n", deaths, killed);
    add(text, "%s{cause=\"hung\"} %" PRIu64 "\n", deaths, hung);
    describe(text, "responder_build_info", "gauge", "Which build this is; 1.");
    add(text, "responder_build_info{version=\"%s\",commit=\"%s\"} 1\n", build_version,
        build_commit);
}

/* What a scraper calls a process is the parent and its workers. */
static void add_process(struct text *text, const struct shared *shared, const struct usage *usage,
                        uint64_t connections)
{
    describe(text, "process_start_time_seconds", "gauge", "When the parent was started.");
    add(text, "process_start_time_seconds %" PRIu64 ".%03" PRIu64 "\n",
        shared->start_time_ms / 1000, shared->start_time_ms % 1000);
    describe(text, "process_cpu_seconds_total", "counter", "Of the parent and all its workers.");
    text_add(text, "process_cpu_seconds_total");
    add_seconds(text, usage->cpu_ns);
    add_one(text, "process_resident_memory_bytes", "gauge",
            "Of the parent and its workers; what they share is in each.", usage->memory);
    add_one(text, "process_open_fds", "gauge", "Of all workers.", usage->descriptors + connections);
    add_one(text, "process_max_fds", "gauge", "Of one worker.", shared->descriptors_max);
}

void metrics_answer(const struct shared *shared, struct response *response)
{
    struct traffic traffic = {.accepted = 0};
    struct usage usage = {.cpu_ns = 0};
    uint64_t active = 0;
    for (int i = 0; i < shared->slots_used; i++) {
        add_traffic(&traffic, &shared->slots[i].traffic);
        add_usage(&usage, &shared->slots[i].usage);
        active += shared->slots[i].activity.fingerprint != 0;
    }
    add_usage(&usage, &shared->usage);
    response_init(response);
    response->body = text_in(response->body_bytes, sizeof(response->body_bytes));
    response->content_type = "text/plain; version=0.0.4; charset=utf-8";
    add_requests(&response->body, &traffic);
    add_durations(&response->body, &traffic);
    add_traffic_totals(&response->body, &traffic, active);
    add_workers(&response->body, shared);
    add_waiting(&response->body, shared);
    add_process(&response->body, shared, &usage, traffic.connections);
}
