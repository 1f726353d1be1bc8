/* GET /health: the responder answers. */
#include "../core/handler.h"

/* As JSON for whoever asks for that, by ?format= or Accept, and as text for all others. */
void health(const struct context *context, struct response *response)
{
    if (choose_format(context, response) == FORMAT_JSON) {
        text_add_json(
            &response->body,
            json_pack("{s:s, s:s}", "status", "ok", "checked",
                      "A worker took this request and answered it. It needs nothing else."));
        return;
    }
    response->content_type = content_type(FORMAT_TEXT);
    text_add(&response->body, "ok\n");
}
