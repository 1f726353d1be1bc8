#include "language.h"

const struct language languages[LANGUAGES] = {
#define LANGUAGE(...) {__VA_ARGS__},
#include "../languages.def"
#undef LANGUAGE
};
