/* GET /favicon.ico: what browsers ask for by themselves, beside whatever they show. */
#include "../core/handler.h"
#include "icon.svg.h"

void icon(const struct context *context, struct response *response)
{
    (void)context;
    response->content_type = "image/svg+xml";
    response->caching = CACHING_PRIVATE;
    response->tagged = true;
    text_add(&response->body, icon_svg);
}
