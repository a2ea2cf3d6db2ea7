/* What a fuzz target defines (libFuzzer's interface): it takes any bytes and returns 0. */
#ifndef ML_TESTS_FUZZ_H
#define ML_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
