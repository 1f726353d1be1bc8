/* MurmurHash64A (Austin Appleby, in the public domain), but for its end, which this needs not:
 * fast, and the same in every process. Not against somebody who looks for two inputs with one hash.
 */
#ifndef HASH_H
#define HASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint64_t hash_word(uint64_t hash, uint64_t word)
{
    static const uint64_t factor = UINT64_C(0xc6a4a7935bd1e995);
    word *= factor;
    word ^= word >> 47;
    return (hash ^ word * factor) * factor;
}

/* The hash of so many bytes behind what was hashed before; with their number, so that "a", "b" are
 * not "ab", "". Eight bytes at a time: by FNV-1a, which takes them one by one, a page took
 * 52,400 instructions, and so 31,700 (make bench-instructions). */
static inline uint64_t hash_bytes(uint64_t hash, const char *bytes, size_t length)
{
    uint64_t word;
    hash = hash_word(hash, length);
    for (; length >= sizeof(word); bytes += sizeof(word), length -= sizeof(word)) {
        memcpy(&word, bytes, sizeof(word));
        hash = hash_word(hash, word);
    }
    word = 0;
    memcpy(&word, bytes, length);
    return hash_word(hash, word);
}

#endif
