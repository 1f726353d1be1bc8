#include "nginx.h"

#include "core/language.h"
#include "core/response.h"
#include "error.html.h"

#include <stdio.h>

bool nginx_print(void)
{
    char tags[1024], page[16 * 1024];
    struct text languages_text = text_in(tags, sizeof(tags));
    struct text error_page = text_in(page, sizeof(page));
    for (size_t i = 0; i < LANGUAGES; i++) {
        text_add(&languages_text, i > 0 ? "|" : "");
        text_add(&languages_text, languages[i].tag);
    }
    text_add_error_html(&error_page, &(struct error_html){
                                         .status = "$status",
                                         .title = "$error_title",
                                         .detail = "$error_detail",
                                         .request = (struct error_html_request[]){{"$id"}, {NULL}},
                                     });
    json_t *told = json_pack("{s:s, s:s, s:s}", "languages", tags, "page_policy", page_policy,
                             "error_page", page);
    const bool printed = told && json_dumpf(told, stdout, JSON_COMPACT) == 0 && putchar('\n') > 0;
    json_decref(told);
    return printed && !languages_text.overflowed && !error_page.overflowed;
}
