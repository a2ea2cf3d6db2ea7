/* Encoding and decoding: exact bytes, special tokens, streams, and what must fail. */
#include "base/threads.h"
#include "base/utf8.h"
#include "text_check.h"

static const char *const specials[] = {"<|endoftext|>", "<|end|>", "<|end|><|end|>"};

static struct ml_tokenizer *small(enum ml_pretokenizer which)
{
    struct ml_tokenizer_training options = {
        .pretokenizer = which, .merges = 300, .specials = specials, .special_count = 3};
    return train_on(sample_text, sizeof sample_text - 1, &options);
}

static void any_bytes_come_back(void **state)
{
    struct ml_rng rng;
    char text[3000];
    ml_rng_init(&rng, 3, 0);
    for (int which = 1; which < ML_PRETOKENIZER_COUNT; which++) {
        struct ml_tokenizer *t = small((enum ml_pretokenizer)which);
        check_round_trip(t, "", 0, 0);
        check_round_trip(t, sample_text, sizeof sample_text, 0); /* with its NUL */
        for (int i = 0; i < 256; i++)
            text[i] = (char)i;
        check_round_trip(t, text, 256, 0);
        for (int round = 0; round < 60; round++) {
            size_t size = ml_rng_below(&rng, sizeof text);
            int kind = round % 3; /* any bytes; pieces of the sample; one byte many times */
            for (size_t i = 0; i < size; i++)
                text[i] = kind == 0   ? (char)ml_rng_u32(&rng)
                          : kind == 1 ? sample_text[(i * 7 / (round + 1) + (size_t)round * 31) %
                                                    sizeof sample_text]
                                      : "a \n\xe6"[round / 3 % 4];
            check_round_trip(t, text, size, ML_ENCODE_SPECIAL);
        }
        ml_tokenizer_free(t);
    }
}

/* Long words take another way (a heap) than short ones; both must merge alike. */
static void long_words_merge_like_short_ones(void **state)
{
    struct ml_error err = {0};
    struct ml_tokenizer_training options = {.pretokenizer = ML_PRETOKENIZER_GPT2, .merges = 100};
    static const char words[] = "abababab abab aab aabb abba bbbb aaaa ab ba abcabc cab cabbac "
                                "aaaaaaaa bbbbbbbb abababababababab";
    struct ml_tokenizer *t = train_on(words, sizeof words - 1, &options);
    struct ml_encoder *encoder = NULL;
    struct ml_rng rng;
    assert_int_equal(ml_encoder_new(&encoder, t, &err), 0);
    ml_rng_init(&rng, 11, 0);
    for (int round = 0; round < 200; round++) {
        char word[400];
        int32_t plain[400];
        struct ml_ids ids = {0};
        int n = 2 + (int)ml_rng_below(&rng, 398), kept = n;
        for (int i = 0; i < n; i++) {
            word[i] = (char)('a' + ml_rng_below(&rng, 2 + (unsigned)round % 2));
            plain[i] = ml_tokenizer_find(t, &word[i], 1);
        }
        /* Plainly: rank by rank, left to right. */
        for (int32_t rank = 0; rank < ml_tokenizer_merge_count(t); rank++) {
            struct ml_merge_spec merge = ml_tokenizer_merge(t, rank);
            int m = 0;
            for (int i = 0; i < kept; i++) {
                bool pair = plain[i] == merge.left && i + 1 < kept && plain[i + 1] == merge.right;
                plain[m++] = pair ? 256 + rank : plain[i];
                i += pair;
            }
            kept = m;
        }
        assert_int_equal(ml_encode(encoder, word, (size_t)n, 0, &ids, &err), 0);
        assert_int_equal(ids.count, kept);
        assert_memory_equal(ids.ids, plain, (size_t)kept * sizeof *plain);
        ml_ids_clear(&ids);
    }
    ml_encoder_free(encoder);
    ml_tokenizer_free(t);
}

/* A run without an end is cut at a limit, in linear time, and comes back. */
static void endless_words(void **state)
{
    size_t size = (2 << 20) + 12345;
    char *text = ml_mem_alloc(size);
    assert_non_null(text);
    struct ml_tokenizer *t = small(ML_PRETOKENIZER_QWEN2);
    static const char *const fills[] = {" ", "a", "明", "\n", "\xff", "!"};
    for (int k = 0; k < COUNT(fills); k++) {
        size_t n = strlen(fills[k]);
        for (size_t i = 0; i < size; i++)
            text[i] = fills[k][i % n];
        check_round_trip(t, text, size, 0);
    }
    ml_tokenizer_free(t);
    ml_mem_free(text);
}

static void special_tokens_only_where_allowed(void **state)
{
    struct ml_error err = {0};
    struct ml_tokenizer *t = small(ML_PRETOKENIZER_QWEN2);
    static const char text[] = "a<|endoftext|>b<|end|><|end|><|end|>";
    int32_t end = ml_tokenizer_special(t, "<|end|>");
    int32_t expected[] = {ml_tokenizer_find(t, "a", 1), ml_tokenizer_special(t, "<|endoftext|>"),
                          ml_tokenizer_find(t, "b", 1), ml_tokenizer_special(t, "<|end|><|end|>"),
                          end};
    struct ml_ids ids = {0};
    assert_int_equal(ml_tokenizer_encode(t, text, sizeof text - 1, ML_ENCODE_SPECIAL, &ids, &err),
                     0);
    assert_int_equal(ids.count, 5); /* the longest of those that start together */
    assert_memory_equal(ids.ids, expected, sizeof expected);
    ids.count = 0;
    assert_int_equal(ml_tokenizer_encode(t, text, sizeof text - 1, ML_ENCODE_PLAIN, &ids, &err), 0);
    for (size_t i = 0; i < ids.count; i++)
        assert_int_equal(ml_tokenizer_kind(t, ids.ids[i]), ML_TOKEN_NORMAL);
    struct ml_buffer back = {0};
    assert_int_equal(ml_decode(t, expected, 5, ML_DECODE_SKIP_SPECIAL, &back, &err), 0);
    assert_string_equal(back.data, "ab");
    ml_buffer_clear(&back);
    ml_ids_clear(&ids);
    ml_tokenizer_free(t);
}

/* Bytes one a token: a character of four bytes shows only when it is whole. */
static void streams_show_whole_characters(void **state)
{
    struct ml_error err = {0};
    struct ml_tokenizer_training bytes_only = {
        .merges = -1, .specials = specials, .special_count = 1};
    struct ml_tokenizer *t = train_on("", 0, &bytes_only);
    struct ml_token_stream *stream = NULL;
    static const char text[] = "a明\xf0\x9f\x98\x80\xff"
                               "b\xe6\x98";
    struct ml_ids ids = {0};
    struct ml_buffer shown = {0};
    const char *piece;
    size_t size;
    assert_int_equal(ml_tokenizer_encode(t, text, sizeof text - 1, 0, &ids, &err), 0);
    assert_int_equal(ids.count, sizeof text - 1);
    assert_int_equal(ml_token_stream_new(&stream, t, ML_DECODE_SKIP_SPECIAL, &err), 0);
    for (size_t i = 0; i < ids.count; i++) {
        assert_int_equal(ml_token_stream_push(stream, ids.ids[i], &piece, &size, &err), 0);
        if (i != 8) /* the byte that is no character passes */
            assert_true(ml_utf8_valid(piece, size));
        assert_int_equal(ml_buffer_put(&shown, piece, size, &err), 0);
        assert_int_equal(ml_token_stream_push(stream, 256, &piece, &size, &err), 0);
        assert_int_equal(size, 0); /* a special token neither shows nor completes anything */
    }
    assert_int_equal(shown.size, sizeof text - 1 - 2);
    ml_token_stream_flush(stream, &piece, &size);
    assert_int_equal(size, 2);
    assert_int_equal(ml_buffer_put(&shown, piece, size, &err), 0);
    assert_memory_equal(shown.data, text, sizeof text - 1);
    ml_token_stream_flush(stream, &piece, &size);
    assert_int_equal(size, 0);
    assert_int_equal(ml_token_stream_push(stream, 257, &piece, &size, &err), ML_ERR_ARG);
    ml_token_stream_free(stream);
    ml_buffer_clear(&shown);
    ml_ids_clear(&ids);
    ml_tokenizer_free(t);
}

/* The encoder's cache never changes what comes out. */
static void encoding_again_is_the_same(void **state)
{
    struct ml_error err = {0};
    struct ml_tokenizer *t = small(ML_PRETOKENIZER_QWEN2);
    struct ml_encoder *encoder = NULL;
    struct ml_ids first = {0}, again = {0};
    assert_int_equal(ml_encoder_new(&encoder, t, &err), 0);
    assert_int_equal(ml_encode(encoder, sample_text, sizeof sample_text, 0, &first, &err), 0);
    for (int i = 0; i < 3; i++) {
        again.count = 0;
        assert_int_equal(ml_encode(encoder, sample_text, sizeof sample_text, 0, &again, &err), 0);
        assert_int_equal(again.count, first.count);
        assert_memory_equal(again.ids, first.ids, first.count * sizeof *first.ids);
    }
    ml_ids_clear(&first);
    ml_ids_clear(&again);
    ml_encoder_free(encoder);
    ml_tokenizer_free(t);
}

struct shared {
    const struct ml_tokenizer *tokenizer;
    struct ml_ids ids[8];
    int codes[8];
};

static void encode_task(void *arg, int64_t task, int worker)
{
    struct shared *shared = arg;
    shared->codes[task] = ml_tokenizer_encode(shared->tokenizer, sample_text, sizeof sample_text,
                                              ML_ENCODE_SPECIAL, &shared->ids[task], NULL);
}

/* One tokenizer, several threads, an encoder each. */
static void threads_share_a_tokenizer(void **state)
{
    struct ml_error err = {0};
    struct ml_tokenizer *t = small(ML_PRETOKENIZER_QWEN2);
    struct shared shared = {.tokenizer = t};
    struct ml_pool *pool = NULL;
    assert_int_equal(ml_pool_new(&pool, 4, &err), 0);
    ml_pool_run(pool, 8, encode_task, &shared);
    for (int i = 0; i < 8; i++) {
        assert_int_equal(shared.codes[i], 0);
        assert_int_equal(shared.ids[i].count, shared.ids[0].count);
        assert_memory_equal(shared.ids[i].ids, shared.ids[0].ids,
                            shared.ids[0].count * sizeof(int32_t));
    }
    for (int i = 0; i < 8; i++)
        ml_ids_clear(&shared.ids[i]);
    ml_pool_free(pool);
    ml_tokenizer_free(t);
}

static void spelling_for_gguf(void **state)
{
    struct ml_error err = {0};
    struct ml_tokenizer *t = small(ML_PRETOKENIZER_QWEN2);
    struct ml_buffer text = {0};
    assert_int_equal(ml_tokenizer_text(t, ml_tokenizer_find(t, " ", 1), &text, &err), 0);
    assert_string_equal(text.data, "Ġ");
    assert_int_equal(ml_tokenizer_text(t, ml_tokenizer_find(t, "\n", 1), &text, &err), 0);
    assert_int_equal(ml_tokenizer_text(t, ml_tokenizer_special(t, "<|end|>"), &text, &err), 0);
    assert_string_equal(text.data, "ĠĊ<|end|>");
    assert_int_equal(ml_tokenizer_text(t, -1, &text, &err), ML_ERR_ARG);
    assert_string_equal(text.data, "ĠĊ<|end|>");
    text.size = 0;
    assert_int_equal(ml_tokenizer_merge_text(t, 0, &text, &err), 0);
    assert_non_null(strchr(text.data, ' '));
    assert_string_equal(ml_tokenizer_llama_name(t), "qwen2");
    /* Ids of bytes are in the order of the alphabet: '!' first, U+0143 (byte 0xad) last. */
    assert_int_equal(ml_tokenizer_find(t, "!", 1), 0);
    assert_int_equal(ml_tokenizer_find(t, "\xad", 1), 255);
    ml_buffer_clear(&text);
    ml_tokenizer_free(t);
}

static void names_of_pretokenizers(void **state)
{
    struct ml_error err = {0};
    enum ml_pretokenizer which = ML_PRETOKENIZER_DEFAULT;
    for (int i = 1; i < ML_PRETOKENIZER_COUNT; i++) {
        const char *name = ml_pretokenizer_name((enum ml_pretokenizer)i);
        assert_int_equal(ml_pretokenizer_parse(&which, name, &err), 0);
        assert_int_equal(which, i);
    }
    assert_string_equal(ml_pretokenizer_name(ML_PRETOKENIZER_DEFAULT), "qwen2");
    assert_int_equal(ml_pretokenizer_parse(&which, "qwen", &err), ML_ERR_NOT_FOUND);
    assert_non_null(strstr(err.message, "qwen2"));
}

static int make(const struct ml_tokenizer_spec *spec, const char *part)
{
    struct ml_error err = {0};
    struct ml_tokenizer *t = NULL;
    int code = ml_tokenizer_new(&t, spec, &err);
    ml_tokenizer_free(t);
    if (part && !strstr(err.message, part))
        fail_msg("expected \"%s\": %s", part, err.message);
    return code;
}

static void bad_vocabularies(void **state)
{
    struct ml_token_spec tokens[] = {{"a", 1, ML_TOKEN_NORMAL},
                                     {"b", 1, ML_TOKEN_NORMAL},
                                     {"ab", 2, ML_TOKEN_NORMAL},
                                     {"ba", 2, ML_TOKEN_CONTROL}};
    struct ml_merge_spec merges[] = {{0, 1}, {0, 1}};
    struct ml_tokenizer_spec spec = {
        .tokens = tokens, .token_count = 4, .merges = merges, .merge_count = 1};
    assert_int_equal(make(&spec, NULL), 0);
    spec.merge_count = 2;
    assert_int_equal(make(&spec, "are the same"), ML_ERR_FORMAT);
    merges[1] = (struct ml_merge_spec){1, 0};
    assert_int_equal(make(&spec, "special"), ML_ERR_FORMAT);
    merges[1] = (struct ml_merge_spec){1, 1};
    assert_int_equal(make(&spec, "not in the vocabulary"), ML_ERR_FORMAT);
    merges[1] = (struct ml_merge_spec){1, 4};
    assert_int_equal(make(&spec, "vocabulary of 4"), ML_ERR_FORMAT);
    merges[1] = (struct ml_merge_spec){-1, 0};
    assert_int_equal(make(&spec, "-1"), ML_ERR_FORMAT);
    spec.merge_count = -1;
    assert_int_equal(make(&spec, "limit"), ML_ERR_LIMIT);
    spec.merge_count = 0;
    tokens[3].size = 0;
    assert_int_equal(make(&spec, "0 bytes"), ML_ERR_LIMIT);
    tokens[3] = tokens[2];
    assert_int_equal(make(&spec, "same bytes"), ML_ERR_FORMAT);
    spec.token_count = 0;
    assert_int_equal(make(&spec, "limit"), ML_ERR_LIMIT);
}

/* A vocabulary without some bytes says so instead of dropping them. */
static void missing_bytes_are_an_error(void **state)
{
    struct ml_token_spec tokens[] = {{"a", 1, ML_TOKEN_NORMAL}};
    struct ml_tokenizer_spec spec = {.tokens = tokens, .token_count = 1};
    struct ml_error err = {0};
    struct ml_tokenizer *t = NULL;
    struct ml_ids ids = {0};
    assert_int_equal(ml_tokenizer_new(&t, &spec, &err), 0);
    assert_int_equal(ml_tokenizer_encode(t, "aaa", 3, 0, &ids, &err), 0);
    assert_int_equal(ids.count, 3);
    assert_int_equal(ml_tokenizer_encode(t, "aab", 3, 0, &ids, &err), ML_ERR_UNSUPPORTED);
    assert_int_equal(ids.count, 3); /* as it was */
    assert_non_null(strstr(err.message, "0x62"));
    ml_ids_clear(&ids);
    ml_tokenizer_free(t);
}

static int encode_and_stream(const struct ml_tokenizer *t, struct ml_error *err)
{
    struct ml_ids ids = {0};
    struct ml_buffer back = {0};
    struct ml_token_stream *stream = NULL;
    const char *piece;
    size_t size;
    char word[2000];
    memset(word, 'a', sizeof word);
    int code = ml_tokenizer_encode(t, sample_text, sizeof sample_text, 1, &ids, err);
    if (code == 0)
        code = ml_tokenizer_encode(t, word, sizeof word, 1, &ids, err);
    if (code == 0)
        code = ml_decode(t, ids.ids, ids.count, 0, &back, err);
    if (code == 0)
        code = ml_token_stream_new(&stream, t, 0, err);
    for (size_t i = 0; code == 0 && i < ids.count; i++)
        code = ml_token_stream_push(stream, ids.ids[i], &piece, &size, err);
    ml_token_stream_free(stream);
    ml_buffer_clear(&back);
    ml_ids_clear(&ids);
    return code;
}

static void allocations_fail(void **state)
{
    struct ml_tokenizer *t = small(ML_PRETOKENIZER_QWEN2);
    struct ml_mem_stats before, after;
    int code = ML_ERR_MEMORY;
    ml_mem_get_stats(&before);
    for (uint64_t n = 1; code < 0; n++) {
        struct ml_error err = {0};
        ml_mem_fail_at(n);
        code = encode_and_stream(t, &err);
        ml_mem_fail_at(0);
        if (code < 0) {
            assert_int_equal(code, ML_ERR_MEMORY);
            assert_non_null(strstr(err.message, "out of memory"));
        } else {
            assert_true(n > 8);
        }
        ml_mem_get_stats(&after);
        assert_int_equal(after.live_blocks, before.live_blocks);
    }
    ml_tokenizer_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_bytes_come_back),
        cmocka_unit_test(long_words_merge_like_short_ones),
        cmocka_unit_test(endless_words),
        cmocka_unit_test(special_tokens_only_where_allowed),
        cmocka_unit_test(streams_show_whole_characters),
        cmocka_unit_test(encoding_again_is_the_same),
        cmocka_unit_test(threads_share_a_tokenizer),
        cmocka_unit_test(spelling_for_gguf),
        cmocka_unit_test(names_of_pretokenizers),
        cmocka_unit_test(bad_vocabularies),
        cmocka_unit_test(missing_bytes_are_an_error),
        cmocka_unit_test(allocations_fail),
    };
    return cmocka_run_group_tests_name("tokenizer", tests, NULL, NULL);
}
