#include <stddef.h>

#include "format/gguf.h"

/* Elements and bytes of a block, by ggml's type numbers (gaps are types that were withdrawn or that
 * exist only while computing). */
static const struct ml_gguf_block blocks[] = {
    {"F32", ML_GGML_F32, 1, 4, ML_NUMBER_F32},
    {"F16", ML_GGML_F16, 1, 2, ML_NUMBER_F16},
    {"Q4_0", 2, 32, 18, ML_NUMBER_OTHER},
    {"Q4_1", 3, 32, 20, ML_NUMBER_OTHER},
    {"Q5_0", 6, 32, 22, ML_NUMBER_OTHER},
    {"Q5_1", 7, 32, 24, ML_NUMBER_OTHER},
    {"Q8_0", 8, 32, 34, ML_NUMBER_OTHER},
    {"Q2_K", 10, 256, 84, ML_NUMBER_OTHER},
    {"Q3_K", 11, 256, 110, ML_NUMBER_OTHER},
    {"Q4_K", 12, 256, 144, ML_NUMBER_OTHER},
    {"Q5_K", 13, 256, 176, ML_NUMBER_OTHER},
    {"Q6_K", 14, 256, 210, ML_NUMBER_OTHER},
    {"IQ2_XXS", 16, 256, 66, ML_NUMBER_OTHER},
    {"IQ2_XS", 17, 256, 74, ML_NUMBER_OTHER},
    {"IQ3_XXS", 18, 256, 98, ML_NUMBER_OTHER},
    {"IQ1_S", 19, 256, 50, ML_NUMBER_OTHER},
    {"IQ4_NL", 20, 32, 18, ML_NUMBER_OTHER},
    {"IQ3_S", 21, 256, 110, ML_NUMBER_OTHER},
    {"IQ2_S", 22, 256, 82, ML_NUMBER_OTHER},
    {"IQ4_XS", 23, 256, 136, ML_NUMBER_OTHER},
    {"I8", 24, 1, 1, ML_NUMBER_OTHER},
    {"I16", 25, 1, 2, ML_NUMBER_OTHER},
    {"I32", ML_GGML_I32, 1, 4, ML_NUMBER_I32},
    {"I64", 27, 1, 8, ML_NUMBER_OTHER},
    {"F64", ML_GGML_F64, 1, 8, ML_NUMBER_F64},
    {"IQ1_M", 29, 256, 56, ML_NUMBER_OTHER},
    {"BF16", ML_GGML_BF16, 1, 2, ML_NUMBER_BF16},
    {"TQ1_0", 34, 256, 54, ML_NUMBER_OTHER},
    {"TQ2_0", 35, 256, 66, ML_NUMBER_OTHER},
    {"MXFP4", 39, 32, 17, ML_NUMBER_OTHER},
    {"NVFP4", 40, 64, 36, ML_NUMBER_OTHER},
    {"Q1_0", 41, 128, 18, ML_NUMBER_OTHER},
};

const struct ml_gguf_block *ml_gguf_block_find(int type)
{
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++)
        if (blocks[i].type == type)
            return &blocks[i];
    return NULL;
}
