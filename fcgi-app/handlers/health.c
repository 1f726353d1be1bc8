/* GET /health: the responder answers. */
#include "../core/handler.h"

/* As JSON for whoever asks for that, by ?format= or Accept, and as text for all others. */
void health(const struct context *context, struct response *response)
{
    const bool negotiated = context->requested == FORMAT_NONE;
    const enum format format =
        negotiated ? format_negotiate(context->request->accept) : context->requested;
    const bool json = format == FORMAT_JSON;
    response->varies = negotiated;
    response->content_type = content_type(json ? FORMAT_JSON : FORMAT_TEXT);
    if (json)
        text_add_json(
            &response->body,
            json_pack("{s:s, s:s}", "status", "ok", "checked",
                      "A worker took this request and answered it. It needs nothing else."));
    else
        text_add(&response->body, "ok\n");
}
