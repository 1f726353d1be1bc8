/* GET /health: the responder answers. */
#include "../core/handler.h"

void health(const struct context *context, struct response *response)
{
    (void)context;
    response->content_type = content_type(FORMAT_TEXT);
    text_add(&response->body, "ok\n");
}
