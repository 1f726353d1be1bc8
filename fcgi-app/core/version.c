#include "version.h"

const char build_version[] = VERSION;
const char build_commit[] = COMMIT;
