/* GET /ready: the service takes traffic. */
#include "../core/handler.h"

void ready(const struct context *context, struct response *response)
{
    if (context->request->draining) {
        problem(context, response, 503, "This instance is stopping and takes no more traffic.");
        return;
    }
    response->content_type = content_type(FORMAT_TEXT);
    text_add(&response->body, "ready\n");
}
