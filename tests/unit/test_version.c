/* GET /version. */
#include "errors.h"

#include "core/version.h"

static void check_version(int line, const char *service, const char *revision, size_t members)
{
    const struct settings settings = {.service = service, .revision = revision};
    const struct answer *answer =
        ask(line, &settings, &(struct request){.method = "GET", .target = "/version"});
    same_string(line, "/version", JSON, field(answer, "Content-Type"));
    json_t *json = json_loads(answer->body, JSON_REJECT_DUPLICATES, NULL);
    check_member(line, json, "version", build_version);
    check_member(line, json, "commit", build_commit);
    check_member(line, json, "service", service);
    check_member(line, json, "revision", revision);
    same_number(line, answer->body, members, json_object_size(json));
    json_decref(json);
}

TEST(the_version_tells_build_and_where_it_is_known_service_and_revision)
{
    check_version(__LINE__, NULL, NULL, 2);
    check_version(__LINE__, "hello", NULL, 3);
    check_version(__LINE__, NULL, "hello-1", 3);
    check_version(__LINE__, "hello", "hello-1", 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_version_tells_build_and_where_it_is_known_service_and_revision),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
