#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <string.h>

#include "base/arena.h"
#include "base/fail.h"
#include "base/utf8.h"
#include "base/words.h"
#include "text/pretokenize.h"

/* The expressions are those that the models' tokenizer.json files publish. For PCRE2 \s is spelt
 * out: Unicode's White_Space as Oniguruma has it (PCRE2's own \s is ASCII, or with UCP also has
 * U+180E). Digits that SmolLM cuts out first are folded into GPT-2's expression: each is a word,
 * and the white space before one ends as if the text ended there. */
#define SPACE                                                                                      \
    "\\t-\\r \\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}"       \
    "\\x{3000}"
#define CONTRACTIONS "'s|'t|'re|'ve|'m|'ll|'d"
#define WORDS        "[^\\r\\n\\p{L}\\p{N}]?\\p{L}+"
#define LINE_TAIL                                                                                  \
    "| ?[^" SPACE "\\p{L}\\p{N}]+[\\r\\n]*|[" SPACE "]*[\\r\\n]+|[" SPACE "]+(?![^" SPACE          \
    "])|[" SPACE "]+"

static const struct ml_word_rule rules[ML_PRETOKENIZER_COUNT] = {
    [ML_PRETOKENIZER_QWEN2] =
        {"qwen2", "qwen2",
         "(?i:" CONTRACTIONS ")|" WORDS
         "|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
         "(?i:" CONTRACTIONS ")|" WORDS "|\\p{N}" LINE_TAIL},
    [ML_PRETOKENIZER_GPT2] = {"gpt2", "gpt-2", NULL,
                              CONTRACTIONS "| ?\\p{L}+| ?\\p{N}+| ?[^" SPACE
                                           "\\p{L}\\p{N}]+|[" SPACE "]+(?![^" SPACE "])|[" SPACE
                                           "]+"},
    [ML_PRETOKENIZER_CHAR] = {"char", "gpt-2", "[\\s\\S]", NULL},
    [ML_PRETOKENIZER_SMOLLM] = {"smollm", "smollm", NULL,
                                CONTRACTIONS "| ?\\p{L}+|\\p{N}| ?[^" SPACE "\\p{L}\\p{N}]+|[" SPACE
                                             "]+(?![^" SPACE "\\p{N}])|[" SPACE "]+"},
    [ML_PRETOKENIZER_LLAMA3] =
        {"llama3", "llama-bpe",
         "(?i:" CONTRACTIONS ")|" WORDS
         "|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
         "(?i:" CONTRACTIONS ")|" WORDS "|\\p{N}{1,3}" LINE_TAIL},
};

const struct ml_word_rule *ml_word_rule(enum ml_pretokenizer which)
{
    if (which <= ML_PRETOKENIZER_DEFAULT || which >= ML_PRETOKENIZER_COUNT)
        which = ML_PRETOKENIZER_QWEN2;
    return &rules[which];
}

const char *ml_pretokenizer_name(enum ml_pretokenizer which)
{
    return ml_word_rule(which)->name;
}

int ml_pretokenizer_parse(enum ml_pretokenizer *out, const char *name, struct ml_error *err)
{
    const char *names[ML_PRETOKENIZER_COUNT - 1];
    for (int i = 1; i < ML_PRETOKENIZER_COUNT; i++) {
        names[i - 1] = rules[i].name;
        if (strcmp(name, rules[i].name) == 0) {
            *out = (enum ml_pretokenizer)i;
            return 0;
        }
    }
    const char *nearest = ml_word_nearest(name, names, ML_PRETOKENIZER_COUNT - 1);
    if (nearest)
        return ml_fail(err, ML_ERR_NOT_FOUND, "pre-tokeniser \"%s\" is not known; did you mean %s?",
                       name, nearest);
    return ml_fail(err, ML_ERR_NOT_FOUND,
                   "pre-tokeniser \"%s\" is not known; there are qwen2, gpt2, char, smollm, llama3",
                   name);
}

struct ml_word_pattern {
    pcre2_general_context *context;  /* for compiling; NULL: single characters */
    pcre2_general_context *matching; /* for cursors, which may be made by several threads */
    pcre2_code *code;
    bool jit;
    bool starved; /* an allocation failed while compiling */
};

static void *pcre_malloc(size_t bytes, void *arg)
{
    return ml_mem_alloc(bytes);
}

/* Compiling without JIT goes on when memory is short, so it is noted. */
static void *pcre_malloc_noted(size_t bytes, void *arg)
{
    struct ml_word_pattern *pattern = arg;
    void *block = ml_mem_alloc(bytes);
    if (!block)
        pattern->starved = true;
    return block;
}

static void pcre_free(void *block, void *arg)
{
    ml_mem_free(block);
}

/* Every pattern has an alternative for every character, so a match always stands where it is
 * looked for: anchored. */
static pcre2_code *compile(const struct ml_word_rule *rule, pcre2_general_context *context,
                           int *code)
{
    PCRE2_SIZE where = 0;
    pcre2_compile_context *compiling = pcre2_compile_context_create(context);
    if (!compiling)
        return NULL;
    pcre2_code *compiled = pcre2_compile((PCRE2_SPTR)rule->pattern, PCRE2_ZERO_TERMINATED,
                                         PCRE2_UTF | PCRE2_ANCHORED | PCRE2_NO_START_OPTIMIZE |
                                             PCRE2_NO_AUTO_CAPTURE | PCRE2_NEVER_BACKSLASH_C,
                                         code, &where, compiling);
    pcre2_compile_context_free(compiling);
    return compiled;
}

static int pattern_compile(struct ml_word_pattern *pattern, const struct ml_word_rule *rule,
                           struct ml_error *err)
{
    int code = 0;
    pattern->context = pcre2_general_context_create(pcre_malloc_noted, pcre_free, pattern);
    if (pattern->context)
        pattern->code = compile(rule, pattern->context, &code);
    /* Without the right to make code (some hardened systems) the interpreter gives the same. */
    if (pattern->code)
        pattern->jit = pcre2_jit_compile(pattern->code, PCRE2_JIT_COMPLETE) == 0;
    pattern->matching = pcre2_general_context_create(pcre_malloc, pcre_free, NULL);
    if (pattern->starved || !pattern->matching)
        return ml_fail(err, ML_ERR_MEMORY, "out of memory compiling the word pattern %s",
                       rule->name);
    if (!pattern->code) {
        char text[128] = "";
        pcre2_get_error_message(code, (PCRE2_UCHAR *)text, sizeof text);
        return ml_fail(err, ML_ERR_UNSUPPORTED, "PCRE2 refuses the word pattern %s: %s", rule->name,
                       text);
    }
    return 0;
}

int ml_word_pattern_new(struct ml_word_pattern **out, enum ml_pretokenizer which,
                        struct ml_error *err)
{
    const struct ml_word_rule *rule = ml_word_rule(which);
    struct ml_word_pattern *pattern = ml_mem_calloc(1, sizeof *pattern);
    if (!pattern)
        return ml_fail(err, ML_ERR_MEMORY, "out of memory compiling the word pattern %s",
                       rule->name);
    int code = rule->pattern ? pattern_compile(pattern, rule, err) : 0;
    if (code < 0) {
        ml_word_pattern_free(pattern);
        return code;
    }
    *out = pattern;
    return 0;
}

void ml_word_pattern_free(struct ml_word_pattern *pattern)
{
    if (!pattern)
        return;
    pcre2_code_free(pattern->code);
    pcre2_general_context_free(pattern->context);
    pcre2_general_context_free(pattern->matching);
    ml_mem_free(pattern);
}

int ml_word_cursor_init(struct ml_word_cursor *cursor, const struct ml_word_pattern *pattern,
                        struct ml_error *err)
{
    memset(cursor, 0, sizeof *cursor);
    if (pattern->code) {
        cursor->match = pcre2_match_data_create(1, pattern->matching);
        if (!cursor->match)
            return ml_fail(err, ML_ERR_MEMORY, "out of memory cutting text into words");
    }
    cursor->pattern = pattern;
    return 0;
}

void ml_word_cursor_clear(struct ml_word_cursor *cursor)
{
    pcre2_match_data_free(cursor->match);
    memset(cursor, 0, sizeof *cursor);
}

void ml_word_cursor_start(struct ml_word_cursor *cursor, const char *text, size_t size)
{
    cursor->text = text;
    cursor->size = size;
    cursor->at = cursor->valid_end = 0;
}

/* How many leading bytes are valid UTF-8. */
static size_t valid_run(const char *text, size_t n)
{
    size_t at = 0;
    uint32_t codepoint;
    while (at < n) {
        uint64_t eight;
        if (n - at >= 8 && (memcpy(&eight, text + at, 8), (eight & 0x8080808080808080u) == 0)) {
            at += 8;
            continue;
        }
        size_t length = ml_utf8_decode(text + at, n - at, &codepoint);
        if (length == 0)
            break;
        at += length;
    }
    return at;
}

/* The length of the match at the cursor, inside a window that ends between two characters. */
static int match_word(struct ml_word_cursor *cursor, size_t *length, struct ml_error *err)
{
    const struct ml_word_pattern *pattern = cursor->pattern;
    size_t end = cursor->valid_end;
    if (end - cursor->at > ML_WORD_MAX_BYTES) {
        end = cursor->at + ML_WORD_MAX_BYTES;
        while ((cursor->text[end] & 0xc0) == 0x80)
            end--;
    }
    PCRE2_SPTR text = (PCRE2_SPTR)cursor->text + cursor->at;
    int code = pattern->jit ? pcre2_jit_match(pattern->code, text, end - cursor->at, 0, 0,
                                              cursor->match, NULL)
                            : pcre2_match(pattern->code, text, end - cursor->at, 0,
                                          PCRE2_NO_UTF_CHECK, cursor->match, NULL);
    if (code == PCRE2_ERROR_NOMEMORY)
        return ml_fail(err, ML_ERR_MEMORY, "out of memory cutting text into words");
    if (code < 0 && code != PCRE2_ERROR_NOMATCH)
        return ml_fail(err, ML_ERR_LIMIT,
                       "cutting text into words failed at byte %zu (PCRE2 error %d)", cursor->at,
                       code);
    *length = code < 0 ? 0 : pcre2_get_ovector_pointer(cursor->match)[1];
    return 0;
}

int ml_word_cursor_next(struct ml_word_cursor *cursor, const char **word, size_t *size,
                        struct ml_error *err)
{
    if (cursor->at == cursor->size)
        return 0;
    if (cursor->at == cursor->valid_end)
        cursor->valid_end += valid_run(cursor->text + cursor->at, cursor->size - cursor->at);
    size_t length = 0;
    if (cursor->at == cursor->valid_end) { /* not UTF-8 */
        cursor->valid_end += (length = 1);
    } else if (cursor->pattern->code) {
        int code = match_word(cursor, &length, err);
        if (code < 0)
            return code;
    }
    if (length == 0) {
        uint32_t codepoint;
        length =
            ml_utf8_decode(cursor->text + cursor->at, cursor->valid_end - cursor->at, &codepoint);
    }
    *word = cursor->text + cursor->at;
    *size = length;
    cursor->at += length;
    return 1;
}
