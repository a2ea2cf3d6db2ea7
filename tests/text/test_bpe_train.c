/* Training against a reference that recounts everything at each step. */
#include "text/pretokenize.h"
#include "text_check.h"

#define REFERENCE_ROOM 4096

/* Words one after another, -1 between them; ids as the tokenizer numbers its bytes. */
struct reference {
    int32_t symbol[REFERENCE_ROOM];
    int count;
    int32_t length[1024]; /* bytes of each token */
};

static void reference_words(struct reference *r, const struct ml_tokenizer *t, const char *text,
                            size_t size)
{
    struct ml_error err = {0};
    struct ml_word_pattern *pattern = NULL;
    struct ml_word_cursor cursor;
    const char *word;
    size_t length;
    memset(r, 0, sizeof *r);
    assert_int_equal(ml_word_pattern_new(&pattern, ml_tokenizer_pretokenizer(t), &err), 0);
    assert_int_equal(ml_word_cursor_init(&cursor, pattern, &err), 0);
    ml_word_cursor_start(&cursor, text, size);
    while (ml_word_cursor_next(&cursor, &word, &length, &err) == 1) {
        assert_true(r->count + (int)length < REFERENCE_ROOM);
        for (size_t i = 0; i < length; i++)
            r->symbol[r->count++] = ml_tokenizer_find(t, word + i, 1);
        r->symbol[r->count++] = -1;
    }
    for (int i = 0; i < 256; i++)
        r->length[i] = 1;
    ml_word_cursor_clear(&cursor);
    ml_word_pattern_free(pattern);
}

/* The most frequent pair, the lowest ids first among equals: all pairs against all positions. */
static int reference_best(const struct reference *r, int longest, struct ml_merge_spec *best)
{
    int most = 0;
    for (int i = 0; i + 1 < r->count; i++) {
        int32_t left = r->symbol[i], right = r->symbol[i + 1];
        int count = 0;
        if (left < 0 || right < 0 || r->length[left] + r->length[right] > longest)
            continue;
        for (int k = 0; k + 1 < r->count; k++)
            count += r->symbol[k] == left && r->symbol[k + 1] == right;
        if (count > most ||
            (count == most && (left < best->left || (left == best->left && right < best->right)))) {
            most = count;
            *best = (struct ml_merge_spec){left, right};
        }
    }
    return most;
}

static void reference_merge(struct reference *r, struct ml_merge_spec merge, int32_t made)
{
    int kept = 0;
    for (int i = 0; i < r->count; i++) {
        int32_t symbol = r->symbol[i];
        if (symbol == merge.left && i + 1 < r->count && r->symbol[i + 1] == merge.right) {
            symbol = made;
            i++;
        }
        r->symbol[kept++] = symbol;
    }
    r->count = kept;
    r->length[made] = r->length[merge.left] + r->length[merge.right];
}

static void compare(enum ml_pretokenizer which, int min_frequency, int longest, const char *text,
                    size_t size)
{
    struct ml_tokenizer_training options = {.pretokenizer = which,
                                            .merges = 600,
                                            .min_frequency = min_frequency,
                                            .max_token_bytes = longest};
    struct ml_tokenizer *t = train_on(text, size, &options);
    struct reference r;
    struct ml_merge_spec best = {0, 0};
    reference_words(&r, t, text, size);
    int learnt = 0;
    while (learnt < 600 && reference_best(&r, longest, &best) >= min_frequency) {
        struct ml_merge_spec merge = ml_tokenizer_merge(t, learnt);
        if (merge.left != best.left || merge.right != best.right)
            fail_msg("%s: merge %d is (%d,%d), not (%d,%d)", ml_pretokenizer_name(which), learnt,
                     merge.left, merge.right, best.left, best.right);
        reference_merge(&r, best, 256 + learnt++);
    }
    assert_int_equal(learnt, ml_tokenizer_merge_count(t));
    /* Encoding the text replays the merges: the same tokens as the reference ends with. */
    struct ml_ids ids = {0};
    struct ml_error err = {0};
    size_t at = 0;
    assert_int_equal(ml_tokenizer_encode(t, text, size, 0, &ids, &err), 0);
    for (int i = 0; i < r.count; i++)
        if (r.symbol[i] >= 0)
            assert_int_equal(ids.ids[at++], r.symbol[i]);
    assert_int_equal(at, ids.count);
    ml_ids_clear(&ids);
    ml_tokenizer_free(t);
}

static void same_merges_as_the_reference(void **state)
{
    for (int which = 1; which < ML_PRETOKENIZER_COUNT; which++) {
        compare((enum ml_pretokenizer)which, 2, 256, sample_text, sizeof sample_text - 1);
        compare((enum ml_pretokenizer)which, 1, 256, sample_text, sizeof sample_text - 1);
        compare((enum ml_pretokenizer)which, 3, 5, sample_text, sizeof sample_text - 1);
    }
}

/* Few letters make runs, overlaps and ties of every kind. */
static void same_merges_on_random_text(void **state)
{
    struct ml_rng rng;
    char text[500];
    ml_rng_init(&rng, 7, 0);
    for (int round = 0; round < 40; round++) {
        size_t size = 50 + ml_rng_below(&rng, 450);
        unsigned letters = 1 + (unsigned)ml_rng_below(&rng, 4);
        for (size_t i = 0; i < size; i++)
            text[i] = ml_rng_below(&rng, 20) ? (char)('a' + ml_rng_below(&rng, letters)) : ' ';
        compare(ML_PRETOKENIZER_GPT2, 1, 64, text, size);
    }
}

static void several_documents_count_as_one_text(void **state)
{
    struct ml_error err = {0};
    struct ml_text_piece pieces[] = {{"the fox ", 8}, {"", 0}, {"the fox the", 11}};
    struct ml_tokenizer *t = NULL;
    assert_int_equal(ml_tokenizer_train(&t, pieces, 3, NULL, &err), 0);
    assert_true(ml_tokenizer_find(t, "the", 3) >= 256);
    assert_true(ml_tokenizer_find(t, " fox", 4) >= 256);
    assert_int_equal(ml_tokenizer_find(t, " the", 4), -1); /* stands there once */
    ml_tokenizer_free(t);
}

static void sizes(void **state)
{
    static const char *const specials[] = {"<|endoftext|>", "<|题|>"};
    struct ml_tokenizer_training options = {
        .vocab_size = 300, .specials = specials, .special_count = 2};
    struct ml_tokenizer *t = train_on(sample_text, sizeof sample_text - 1, &options);
    assert_int_equal(ml_tokenizer_size(t), 300);
    assert_int_equal(ml_tokenizer_merge_count(t), 42);
    assert_int_equal(ml_tokenizer_special(t, "<|endoftext|>"), 298);
    assert_int_equal(ml_tokenizer_special(t, "<|题|>"), 299);
    assert_int_equal(ml_tokenizer_special(t, "<|no|>"), -1);
    assert_int_equal(ml_tokenizer_special(t, "a"), -1); /* a token, but not special */
    ml_tokenizer_free(t);
    options.vocab_size = 258;
    t = train_on(sample_text, sizeof sample_text - 1, &options);
    assert_int_equal(ml_tokenizer_size(t), 258);
    ml_tokenizer_free(t);
    options = (struct ml_tokenizer_training){.merges = -1};
    t = train_on(sample_text, sizeof sample_text - 1, &options);
    assert_int_equal(ml_tokenizer_size(t), 256);
    ml_tokenizer_free(t);
    options = (struct ml_tokenizer_training){.merges = 50};
    t = train_on("", 0, &options); /* nothing to learn from */
    assert_int_equal(ml_tokenizer_size(t), 256);
    ml_tokenizer_free(t);
}

/* Characters as words: ASCII has nothing to merge, Chinese merges up to whole characters. */
static void characters_stay_apart(void **state)
{
    struct ml_tokenizer_training options = {.pretokenizer = ML_PRETOKENIZER_CHAR, .merges = 500};
    static const char ascii[] = "to be or not to be, to be or not to be";
    struct ml_tokenizer *t = train_on(ascii, sizeof ascii - 1, &options);
    assert_int_equal(ml_tokenizer_size(t), 256);
    ml_tokenizer_free(t);
    options.min_frequency = 1;
    t = train_on(sample_text, sizeof sample_text - 1, &options);
    for (int32_t id = 256; id < ml_tokenizer_size(t); id++) {
        size_t size;
        const char *bytes = ml_tokenizer_bytes(t, id, &size);
        assert_true(size <= 4 && (uint8_t)bytes[0] >= 0x80);
    }
    assert_true(ml_tokenizer_find(t, "明", 3) >= 256);
    ml_tokenizer_free(t);
}

/* What stands in a special token's name is not counted. */
static void specials_are_cut_out(void **state)
{
    static const char *const specials[] = {"<|sep|>"};
    struct ml_tokenizer_training options = {.merges = 50, .specials = specials, .special_count = 1};
    static const char text[] = "a<|sep|>b<|sep|>c<|sep|>d<|sep|>";
    struct ml_tokenizer *t = train_on(text, sizeof text - 1, &options);
    assert_int_equal(ml_tokenizer_merge_count(t), 0);
    ml_tokenizer_free(t);
}

static void bad_options(void **state)
{
    static const char *const twice[] = {"<|a|>", "<|a|>"};
    static const char *const letter[] = {"a"};
    static const char *const broken[] = {"<|\xff|>"};
    const struct {
        struct ml_tokenizer_training options;
        const char *part;
    } cases[] = {
        {{.vocab_size = 200}, "too small"},
        {{.vocab_size = 256, .specials = twice, .special_count = 1}, "need 257"},
        {{.vocab_size = ML_TOKENIZER_MAX_VOCAB + 1}, "at most"},
        {{.merges = ML_TOKENIZER_MAX_VOCAB}, "at most"},
        {{.merges = -2}, "at most"},
        {{.min_frequency = -1}, "negative"},
        {{.max_token_bytes = 70000}, "at most 65535"},
        {{.specials = twice, .special_count = 2}, "twice"},
        {{.specials = letter, .special_count = 1}, "2 to 256 bytes"},
        {{.specials = broken, .special_count = 1}, "UTF-8"},
    };
    for (int i = 0; i < COUNT(cases); i++) {
        struct ml_error err = {0};
        struct ml_tokenizer_trainer *trainer = (void *)&err;
        assert_int_equal(ml_tokenizer_trainer_new(&trainer, &cases[i].options, &err), ML_ERR_ARG);
        assert_ptr_equal(trainer, &err); /* untouched */
        if (!strstr(err.message, cases[i].part))
            fail_msg("case %d: %s", i, err.message);
    }
}

struct calls {
    int words, merges, stop_at;
};

static int count_calls(void *arg, const char *what, double done, double total)
{
    struct calls *calls = arg;
    if (strcmp(what, "counting words") == 0)
        calls->words++;
    else
        calls->merges++;
    assert_true(total == 0 || done <= total);
    return calls->words + calls->merges == calls->stop_at;
}

static void progress_and_cancel(void **state)
{
    size_t size = 3 << 20;
    char *text = ml_mem_alloc(size);
    struct ml_error err = {0};
    struct ml_text_piece piece = {text, size};
    assert_non_null(text);
    for (size_t i = 0; i < size; i++)
        text[i] = sample_text[i % (sizeof sample_text - 1)];
    struct calls calls = {0};
    struct ml_tokenizer_training options = {.merges = 200, .progress = count_calls, .arg = &calls};
    struct ml_tokenizer *t = train_on(text, size, &options);
    assert_true(calls.words >= 2);
    assert_true(calls.merges >= 2);
    ml_tokenizer_free(t);
    for (int stop_at = 1; stop_at <= 4; stop_at++) {
        calls = (struct calls){.stop_at = stop_at};
        err.code = 0;
        t = NULL;
        assert_int_equal(ml_tokenizer_train(&t, &piece, 1, &options, &err), ML_ERR_CANCELLED);
        assert_null(t);
    }
    ml_mem_free(text);
}

static void finished_only_once(void **state)
{
    struct ml_error err = {0};
    struct ml_tokenizer_trainer *trainer = NULL;
    struct ml_tokenizer *t = NULL, *second = NULL;
    assert_int_equal(ml_tokenizer_trainer_new(&trainer, NULL, &err), 0);
    assert_int_equal(ml_tokenizer_trainer_add(trainer, "the the", 7, &err), 0);
    assert_int_equal(ml_tokenizer_trainer_finish(trainer, &t, &err), 0);
    assert_int_equal(ml_tokenizer_trainer_finish(trainer, &second, &err), ML_ERR_STATE);
    err.code = 0;
    assert_int_equal(ml_tokenizer_trainer_add(trainer, "x", 1, &err), ML_ERR_STATE);
    ml_tokenizer_trainer_free(trainer);
    ml_tokenizer_free(t);
}

/* Every allocation fails once: one message, nothing leaks. */
static void allocations_fail(void **state)
{
    static const char *const specials[] = {"<|sep|>"};
    struct ml_tokenizer_training options = {.merges = 40, .specials = specials, .special_count = 1};
    struct ml_text_piece piece = {sample_text, sizeof sample_text - 1};
    struct ml_mem_stats before, after;
    int code = ML_ERR_MEMORY;
    ml_mem_get_stats(&before);
    for (uint64_t n = 1; code < 0; n++) {
        struct ml_error err = {0};
        struct ml_tokenizer *t = NULL;
        ml_mem_fail_at(n);
        code = ml_tokenizer_train(&t, &piece, 1, &options, &err);
        ml_mem_fail_at(0);
        if (code < 0) {
            assert_int_equal(code, ML_ERR_MEMORY);
            assert_null(t);
            if (!strstr(err.message, "out of memory"))
                fail_msg("allocation %d: %s", (int)n, err.message);
        } else {
            assert_true(n > 20);
        }
        ml_tokenizer_free(t);
        ml_mem_get_stats(&after);
        assert_int_equal(after.live_blocks, before.live_blocks);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_merges_as_the_reference),
        cmocka_unit_test(same_merges_on_random_text),
        cmocka_unit_test(several_documents_count_as_one_text),
        cmocka_unit_test(sizes),
        cmocka_unit_test(characters_stay_apart),
        cmocka_unit_test(specials_are_cut_out),
        cmocka_unit_test(bad_options),
        cmocka_unit_test(progress_and_cancel),
        cmocka_unit_test(finished_only_once),
        cmocka_unit_test(allocations_fail),
    };
    return cmocka_run_group_tests_name("bpe_train", tests, NULL, NULL);
}
