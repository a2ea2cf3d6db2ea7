/* Files of synonyms, and a text varied with them. */
#include <stdint.h>
#include <stdlib.h>

#include "base/utf8.h"
#include "data/augment_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = size ? (const char *)data : "";
    struct ml_synonyms *synonyms = NULL;
    struct ml_augment_work work = {0};
    struct ml_rng rng;
    if (ml_synonyms_parse(&synonyms, text, size, "fuzz", NULL) == 0 && ml_utf8_valid(text, size)) {
        const struct ml_augment_plan plan = {.share = 0.2, .synonyms = synonyms};
        ml_rng_init(&rng, 1, size);
        for (int i = 0; i < 4; i++)
            if (ml_augment_text(&work, &plan, ML_AUGMENT_TRAIN, text, size, &rng, NULL) == 0 &&
                work.out.size && !ml_utf8_valid(work.out.data, work.out.size))
                abort();
    }
    ml_augment_work_clear(&work);
    ml_synonyms_free(synonyms);
    return 0;
}
