/* Runs a fuzz target over files, for compilers without libFuzzer: usage: NAME FILE ... */
#include "property.h"

enum { INPUT_MAX = 1 << 20 };

int main(int argc, char *argv[])
{
    static uint8_t bytes[INPUT_MAX];
    for (int i = 1; i < argc; i++) {
        FILE *file = fopen(argv[i], "rb");
        fprintf(stderr, "%s\n", argv[i]); /* the last one is the one that fails */
        if (!file)
            return EXIT_FAILURE;
        const size_t size = fread(bytes, 1, sizeof(bytes), file);
        fclose(file);
        LLVMFuzzerTestOneInput(bytes, size);
    }
    return EXIT_SUCCESS;
}
