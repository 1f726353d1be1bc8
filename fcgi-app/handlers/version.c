/* GET /version: which build this is, and which revision of the service on Cloud Run. */
#include "../core/version.h"
#include "../core/handler.h"

void version(const struct context *context, struct response *response)
{
    const struct settings *settings = context->settings;
    response->content_type = content_type(FORMAT_JSON);
    json_t *told = json_pack("{s:s, s:s}", "version", build_version, "commit", build_commit);
    told = json_with(told, "service", settings->service);
    text_add_json(&response->body, json_with(told, "revision", settings->revision));
}
