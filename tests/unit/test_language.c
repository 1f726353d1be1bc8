/* The languages: which one a client gets, and that each line of languages.def is whole. */
#include "request.h"

#include "core/language.h"
#include "core/utf8.h"

TEST(the_language_is_found_by_lookup_with_quality_values)
{
    static const struct {
        int line;
        const char *field, *tag;
    } cases[] = {
        {__LINE__, NULL, "en"},
        {__LINE__, "", "en"},
        {__LINE__, "de", "de"},
        {__LINE__, "DE", "de"},
        {__LINE__, "de-CH", "de"},
        {__LINE__, "de-Latn-CH-1996", "de"},
        {__LINE__, "zh-Hant-x-private", "zh"},
        {__LINE__, "de-a-b-c", "de"},
        {__LINE__, "den", "en"},
        {__LINE__, "d", "en"},
        /* quality values, and the order where they are equal */
        {__LINE__, "fr;q=0.5, de;q=0.6", "de"},
        {__LINE__, "fr;q=0.6, de;q=0.6", "fr"},
        {__LINE__, "fr;q=0.999, de", "de"},
        {__LINE__, "fr;q=1.000, de", "fr"},
        {__LINE__, "fr ; Q=0.1\t,\tde;q=0.2", "de"},
        {__LINE__, "de-DE,de;q=0.9,en-US;q=0.8,en;q=0.7", "de"},
        {__LINE__, "nl, sv;q=0.9, he;q=0.1", "he"},
        {__LINE__, "nl", "en"},
        /* "*" says nothing of any language */
        {__LINE__, "*", "en"},
        {__LINE__, "*, ja;q=0.1", "ja"},
        {__LINE__, "*-CH", "en"},
        /* 0 refuses the language itself, also where a longer range would lead to it */
        {__LINE__, "de;q=0", "en"},
        {__LINE__, "de;q=0, de-CH, fr;q=0.1", "fr"},
        {__LINE__, "de-CH;q=0, de", "de"},
        {__LINE__, "en;q=0", "ar"},
        {__LINE__, "en;q=0.000, ar;q=0, *", "de"},
        {__LINE__, "nl, en;q=0, pt;q=0.001", "pt"},
        /* ill-formed ranges are passed over */
        {__LINE__, "de_CH, fr", "fr"},
        {__LINE__, "de-, fr", "fr"},
        {__LINE__, "-de, fr", "fr"},
        {__LINE__, "d3, fr", "fr"},
        {__LINE__, "de-123456789, fr", "fr"},
        {__LINE__, "de;q=2, fr", "fr"},
        {__LINE__, "de;q=0.1234, fr", "fr"},
        {__LINE__, "de;q=, fr", "fr"},
        {__LINE__, "de;level=1, fr", "fr"},
        {__LINE__, "de fr, fr", "fr"},
        {__LINE__, "de;q=0.5;x, fr;q=0.1", "fr"},
        {__LINE__, ",, ,fr,", "fr"},
        {__LINE__, "de\xC3\xA9, fr", "fr"},
    };
    for (size_t i = 0; i < LENGTH(cases); i++)
        same_string(cases[i].line, cases[i].field, cases[i].tag,
                    language_negotiate(walled_string(cases[i].line, cases[i].field))->tag);
}

TEST(who_refuses_all_languages_is_greeted_in_the_first)
{
    char field[LANGUAGES * 16] = "";
    for (size_t i = 0; i < LANGUAGES; i++)
        snprintf(field + strlen(field), sizeof(field) - strlen(field), "%s;q=0,", languages[i].tag);
    const char *tag = language_negotiate(field)->tag;
    holds(__LINE__, field, "some language", language_tagged(tag) != NULL);
}

static void check_line(const struct language *language)
{
    const char *const words[] = {language->endonym, language->world,    language->label,
                                 language->button,  language->version,  language->revision,
                                 language->region,  language->direction};
    for (size_t i = 0; i < LENGTH(words); i++)
        holds(__LINE__, language->tag, "there are all words",
              words[i] && !utf8_is_blank(words[i]) && utf8_check(words[i], 24) == UTF8_OK);
    const struct frame *frames[] = {&language->by_name, &language->to_all};
    for (size_t i = 0; i < LENGTH(frames); i++)
        holds(__LINE__, language->tag, "a name stands in something",
              frames[i]->before && frames[i]->after && (*frames[i]->before || *frames[i]->after) &&
                  utf8_check(frames[i]->before, NAME_MAX_CODE_POINTS) == UTF8_OK &&
                  utf8_check(frames[i]->after, NAME_MAX_CODE_POINTS) == UTF8_OK);
    holds(__LINE__, language->tag, "a direction",
          strcmp(language->direction, "ltr") == 0 || strcmp(language->direction, "rtl") == 0);
}

/* nginx's regular expression takes the first tag that fits. */
static void check_order(size_t i)
{
    const size_t length = strlen(languages[i].tag);
    for (size_t k = i + 1; k < LANGUAGES; k++)
        holds(__LINE__, languages[k].tag, "no tag stands behind what it begins with",
              strncmp(languages[k].tag, languages[i].tag, length) != 0);
}

TEST(each_language_has_all_that_it_needs_and_greets_by_its_tag)
{
    for (size_t i = 0; i < LANGUAGES; i++) {
        const struct language *language = &languages[i];
        check_line(language);
        check_order(i);
        same_string(__LINE__, language->tag, language->tag, language_tagged(language->tag)->tag);
        same_string(__LINE__, language->tag, language->tag, language_negotiate(language->tag)->tag);
        same_string(__LINE__, language->tag, language->tag, language_tags[i]);
    }
    assert_null(language_tags[LANGUAGES]);
    assert_null(language_tagged("xx"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_language_is_found_by_lookup_with_quality_values),
        cmocka_unit_test(who_refuses_all_languages_is_greeted_in_the_first),
        cmocka_unit_test(each_language_has_all_that_it_needs_and_greets_by_its_tag),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
