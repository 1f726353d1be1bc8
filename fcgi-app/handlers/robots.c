/* GET /robots.txt: what search engines are to look at (RFC 9309). */
#include "../core/handler.h"
#include "robots.txt.h"

void robots(const struct context *context, struct response *response)
{
    (void)context;
    response->content_type = content_type(FORMAT_TEXT);
    response->caching = CACHING_PRIVATE;
    response->tagged = true;
    text_add(&response->body, robots_txt);
}
