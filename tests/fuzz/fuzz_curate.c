/* What curating does to any text: rules, lines, normalisation, redaction, language, signatures; and
 * curation recipes, which come from users. Bytes that are not UTF-8 go to redaction alone. */
#include "fuzz.h"

#include <string.h>

#include "base/utf8.h"
#include "data/c4_lines.h"
#include "data/curation.h"
#include "data/minhash.h"
#include "data/normalise.h"
#include "data/quality.h"
#include "data/redact.h"
#include "text/language.h"

static void try_redaction(const char *text, size_t n)
{
    struct ml_pii_spans spans = {0};
    struct ml_buffer out = {0};
    if (ml_redact_find(&spans, text, n, ML_PII_ALL, NULL) == 0)
        ml_redact_apply(&out, text, n, &spans, ML_REDACT_MASK, NULL, NULL);
    ml_buffer_clear(&out);
    ml_pii_spans_clear(&spans);
}

static void try_text(const char *text, size_t n)
{
    struct ml_word_scan scan = {0};
    struct ml_quality quality = {0};
    struct ml_quality_plan plan;
    struct ml_minhash minhash;
    struct ml_signature signature;
    struct ml_buffer out = {0};
    const struct ml_quality_rule *broken;
    bool changed, any;
    int64_t dropped;
    ml_quality_plan_init(&plan, ML_QUALITY_ALL);
    ml_minhash_init(&minhash);
    if (ml_word_scan(&scan, text, n, NULL) == 0) {
        ml_quality_judge(&quality, &plan, &scan, "en", &broken, NULL);
        ml_c4_lines(&out, &scan, &changed, &dropped, NULL);
        ml_minhash_sign(&minhash, &scan, &signature, &any, NULL);
    }
    out.size = 0;
    ml_normalise_text(&out, text, n, NULL, &changed, NULL);
    ml_buffer_clear(&out);
    ml_minhash_clear(&minhash);
    ml_quality_clear(&quality);
    ml_word_scan_clear(&scan);
}

static void try_recipe(const char *text, size_t n)
{
    struct ml_curate_recipe *recipe;
    struct ml_arena arena;
    ml_arena_init(&arena, 0);
    ml_curate_recipe_parse(&recipe, &arena, text, n, "fuzz", NULL);
    ml_arena_clear(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = size ? (const char *)data : "";
    if (size > 1 << 16)
        return 0;
    try_redaction(text, size);
    if (ml_utf8_valid(text, size))
        try_text(text, size);
    try_recipe(text, size);
    return 0;
}
