/* Lists of entity tags, beside what the grammar of RFC 9110 says as a regular expression. */
#include "property.h"

#include "core/entity_tag.h"

#include <regex.h>

enum { LIST_MAX = 80 }; /* bytes; regexec takes more than linear time */

#define TAG "\"0123456789abcdef\""
#define OWS "[ \t]*"
#define ELEMENT "((W/)?\"[!#-~\x80-\xff]*\")?"

static regex_t asterisk, list, weak, strong;

static void compile(regex_t *regex, const char *expression)
{
    HOLDS(regcomp(regex, expression, REG_EXTENDED | REG_NOSUB) == 0);
}

static bool matches(const regex_t *regex, const char *string)
{
    return regexec(regex, string, 0, NULL, 0) == 0;
}

static void compile_all(void)
{
    compile(&asterisk, "^" OWS "\\*" OWS "$");
    compile(&list, "^" OWS ELEMENT "(" OWS "," OWS ELEMENT ")*" OWS "$");
    compile(&weak, "^(" OWS ELEMENT OWS ",)*" OWS "(W/)?" TAG OWS "(,|$)");
    compile(&strong, "^(" OWS ELEMENT OWS ",)*" OWS TAG OWS "(,|$)");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool compiled;
    if (!compiled)
        compile_all();
    compiled = true;
    char *field = string_of(data, size < LIST_MAX ? size : LIST_MAX);
    const bool all = matches(&asterisk, field), well_formed = matches(&list, field);
    HOLDS(entity_tag_listed(field, TAG, COMPARE_WEAKLY) ==
          (all || (well_formed && matches(&weak, field))));
    HOLDS(entity_tag_listed(field, TAG, COMPARE_STRONGLY) ==
          (all || (well_formed && matches(&strong, field))));
    HOLDS(entity_tag_listed(field, "", COMPARE_WEAKLY) == all);
    free(field);
    return 0;
}
