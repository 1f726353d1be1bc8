/* What a handler's rules make of parameters, wherever these stand. */
#include "request.h"

#include "core/handler.h"
#include "core/target.h"

#include <stdlib.h>
#include <unistd.h>

static const struct route route = {.path = "/{c}",
                                   .methods = GET | POST,
                                   .formats = AS_TEXT | AS_JSON,
                                   .body_max = 4096,
                                   .body_types = {FORM_TYPE, JSON_TYPE}};

static const char *no_number(const char *value)
{
    return value[strspn(value, "0123456789")] ? "is no number" : NULL;
}

enum { A, B, C, RULES };
static const char *const choices[] = {"x", "y", NULL};
static const struct rule rules[RULES] = {
    [A] = {.name = "a", .required = true, .max_length = 3},
    [B] = {.name = "b", .choices = choices},
    [C] = {.name = "c", .check = no_number},
};

/* "" where the request is what the rules allow, or what the error says. Holds until the next call,
 * and so do the values. */
static const char *read_by_rules(const struct request *request, const char *in_path,
                                 const char *values[RULES])
{
    static struct response response;
    static struct target target;
    struct fault fault;
    target_parse(request->target, &target, &fault);
    assert_int_equal(fault.status, 0);
    if (in_path)
        parameters_add(&target.parameters, (struct parameter){"c", in_path, IN_PATH}, &fault);
    const struct context context = {.settings = &test_settings,
                                    .request = request,
                                    .requested = FORMAT_TEXT,
                                    .parameters = &target.parameters};
    response_init(&response);
    response.route = &route;
    const bool taken = parameters_read(&context, rules, RULES, values, &response);
    assert_int_equal(taken ? 200 : 400, response.status);
    return taken ? "" : response.body.bytes + strlen("400 Bad Request\n");
}

TEST(a_value_is_what_its_rule_allows_or_the_error_names_it)
{
    static const struct {
        int line;
        const char *target, *path, *error;
    } cases[] = {
        {__LINE__, "/?a=abc&b=y", "007", ""},
        {__LINE__, "/?a=%E6%97%A5%E6%9C%AC%E8%AA%9E", NULL, ""},
        {__LINE__, "/?a=+1%2B", NULL, ""},
        {__LINE__, "/?format=json&a=1", NULL, ""},
        {__LINE__, "/?b=x", NULL, "The parameter \"a\" is missing.\n"},
        {__LINE__, "/?a=", NULL, "The query parameter \"a\" is empty.\n"},
        {__LINE__, "/?a=+", NULL, "The query parameter \"a\" is blank.\n"},
        {__LINE__, "/?a=abcd", NULL, "The query parameter \"a\" is longer than 3 characters.\n"},
        {__LINE__, "/?a=1&b=z", NULL, "The query parameter \"b\" is none of x and y.\n"},
        {__LINE__, "/?a=1&b=", NULL, "The query parameter \"b\" is none of x and y.\n"},
        {__LINE__, "/?a=1&c=z", NULL, "The query parameter \"c\" is no number.\n"},
        {__LINE__, "/?a=1", "7x", "The path parameter \"c\" is no number.\n"},
        {__LINE__, "/?a=1&c=7", "7", "The path parameter \"c\" is given more than once.\n"},
        {__LINE__, "/?a=1&d=1", NULL,
         "There is no query parameter \"d\", only a, b, c and format.\n"},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        const char *values[RULES];
        const struct request request = {.method = "GET", .target = cases[i].target};
        const char *error = read_by_rules(&request, NULL, values);
        if (cases[i].path)
            error = read_by_rules(&request, cases[i].path, values);
        same_string(cases[i].line, cases[i].target, cases[i].error, error);
    }
}

/* --- Any parameters --------------------------------------------------------------------------- */

struct given {
    const char *name, *value;
    enum { QUERY, FORM, MEMBER } place;
};

static const char *const places[] = {"query parameter", "form field", "JSON member"};

/* What is wrong with it alone, "" where nothing is: the rules once more. */
static const char *wrong_with(const struct given *given)
{
    const char *value = given->value;
    const bool blank = !value[strspn(value, " ")];
    switch (*given->name) {
    case 'a':
        return !*value ? "is empty" : blank ? "is blank" : strlen(value) > 3 ? "is longer" : "";
    case 'b':
        return strcmp(value, "x") != 0 && strcmp(value, "y") != 0 ? "is none of x and y" : "";
    case 'c':
        return !*value ? "is empty" : blank ? "is blank" : no_number(value) ? "is no number" : "";
    default:
        return strcmp(value, "json") != 0 ? "is none of text and json" : "";
    }
}

static bool is_known(const struct given *given)
{
    return strchr("abc", *given->name) || (given->place == QUERY && *given->name == 'f');
}

/* How the error about the first fault begins, "" where there is none. */
static void find_fault(const struct given given[], size_t count, char expected[128])
{
    bool has_a = false;
    expected[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        const char *wrong = wrong_with(&given[i]), *place = places[given[i].place];
        for (size_t k = 0; k < i; k++)
            if (strcmp(given[k].name, given[i].name) == 0)
                wrong = "is given more than once";
        has_a = has_a || *given[i].name == 'a';
        if (!is_known(&given[i]))
            snprintf(expected, 128, "There is no %s \"%s\", only ", place, given[i].name);
        else if (*wrong)
            snprintf(expected, 128, "The %s \"%s\" %s", place, given[i].name, wrong);
        if (*expected)
            return;
    }
    if (!has_a)
        snprintf(expected, 128, "The parameter \"a\" is missing");
}

static size_t make_up(struct given given[], char *target, char *body, bool json)
{
    static const char *const names[] = {"a", "a", "b", "c", "format", "d"};
    static const char *const values[] = {"", " ", "x", "y", "1", "22", "abcd", "json"};
    const size_t in_query = (size_t)rand() % 4, in_body = (size_t)rand() % 3;
    strcpy(target, "/?");
    strcpy(body, json ? "{" : "");
    for (size_t i = 0; i < in_query + in_body; i++) {
        const size_t first = i < in_query ? 0 : in_query;
        char *to = i < in_query ? target : body;
        given[i] = (struct given){names[(size_t)rand() % LENGTH(names)],
                                  values[(size_t)rand() % LENGTH(values)],
                                  i < in_query ? QUERY
                                  : json       ? MEMBER
                                               : FORM};
        sprintf(to + strlen(to), to == body && json ? "%s\"%s\":\"%s\"" : "%s%s=%s",
                i == first           ? ""
                : to == body && json ? ","
                                     : "&",
                given[i].name, *given[i].value == ' ' && !json ? "+" : given[i].value);
    }
    strcat(body, json ? "}" : "");
    return in_query + in_body;
}

static bool repeats_member(const struct given given[], size_t count)
{
    return count > 1 && given[count - 1].place == MEMBER && given[count - 2].place == MEMBER &&
           strcmp(given[count - 1].name, given[count - 2].name) == 0;
}

/* No seed is told: the message holds what was sent. */
TEST(a_path_parameter_without_a_rule_is_the_handlers_fault)
{
    static struct response response;
    static struct target target;
    struct fault fault;
    const char *values[RULES];
    const struct request request = {.method = "GET", .target = "/"};
    target_parse(request.target, &target, &fault);
    parameters_add(&target.parameters, (struct parameter){"misspelt", "1", IN_PATH}, &fault);
    const struct context context = {
        .settings = &test_settings, .request = &request, .parameters = &target.parameters};
    response_init(&response);
    response.route = &route;
    assert_false(parameters_read(&context, rules, RULES, values, &response));
    assert_int_equal(500, response.status);
    assert_string_equal("the handler has no rule for the parameter of its path", response.failure);
}

TEST(whatever_is_given_the_first_fault_is_named_or_each_value_is_read)
{
    srand((unsigned)getpid());
    for (int i = 0; i < 20000; i++) {
        struct given given[8];
        char target[256], body[256], expected[128], sent[520];
        const char *values[RULES];
        const bool json = i % 2;
        const size_t count = make_up(given, target, body, json);
        if (repeats_member(given, count)) /* which is no JSON */
            continue;
        struct request request = post(target, json ? JSON_TYPE : FORM_TYPE, body);
        snprintf(sent, sizeof(sent), "%s %s", target, body);
        find_fault(given, count, expected);
        const char *error = read_by_rules(&request, NULL, values);
        if (*expected)
            holds(__LINE__, sent, expected, strncmp(error, expected, strlen(expected)) == 0);
        else
            same_string(__LINE__, sent, "", error);
        for (size_t k = 0; !*expected && k < count; k++)
            if (*given[k].name != 'f')
                same_string(__LINE__, sent, given[k].value, values[*given[k].name - 'a']);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_is_what_its_rule_allows_or_the_error_names_it),
        cmocka_unit_test(a_path_parameter_without_a_rule_is_the_handlers_fault),
        cmocka_unit_test(whatever_is_given_the_first_fault_is_named_or_each_value_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
