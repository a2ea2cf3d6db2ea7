/* Trains a tokenizer on a file and encodes the file with it. Seconds are processor time of this
 * process, so a busy neighbour does not count. One thread.
 *   bench_bpe FILE [MERGES [PRE-TOKENISER [SAVE-AS]]] */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/files.h"
#include "text/tokenizer.h"

static double processor_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int bench(const struct ml_file_map *map, const struct ml_tokenizer_training *options,
                 const char *save, struct ml_error *err)
{
    struct ml_tokenizer *tokenizer = NULL;
    struct ml_encoder *encoder = NULL;
    struct ml_ids ids = {0};
    struct ml_buffer text = {0};
    struct ml_text_piece piece = {(const char *)map->data, map->size};
    double started = processor_seconds(), trained = 0, encoded = 0, again = 0;
    int code = ml_tokenizer_train(&tokenizer, &piece, 1, options, err);
    trained = processor_seconds() - started;
    if (code == 0)
        code = ml_encoder_new(&encoder, tokenizer, err);
    started = processor_seconds();
    if (code == 0)
        code = ml_encode(encoder, piece.data, piece.size, ML_ENCODE_PLAIN, &ids, err);
    encoded = processor_seconds() - started;
    started = processor_seconds();
    if (code == 0)
        code = ml_decode(tokenizer, ids.ids, ids.count, ML_DECODE_ALL, &text, err);
    again = processor_seconds() - started;
    if (code == 0 && save)
        code = ml_tokenizer_save(tokenizer, save, err);
    if (code == 0) {
        struct ml_mem_stats memory;
        ml_mem_get_stats(&memory);
        double mb = (double)map->size / 1e6;
        printf("{\"bytes\": %zu, \"merges\": %d, \"train_seconds\": %.3f, "
               "\"train_mb_per_second\": %.2f, \"encode_seconds\": %.3f, "
               "\"encode_mb_per_second\": %.2f, \"decode_mb_per_second\": %.2f, "
               "\"tokens\": %zu, \"bytes_per_token\": %.3f, \"exact\": %s, "
               "\"peak_heap_mb\": %.1f}\n",
               map->size, ml_tokenizer_merge_count(tokenizer), trained, mb / trained, encoded,
               mb / encoded, mb / again, ids.count, (double)map->size / (double)ids.count,
               text.size == map->size && memcmp(text.data, map->data, map->size) == 0 ? "true"
                                                                                      : "false",
               (double)memory.peak_bytes / 1e6);
    }
    ml_buffer_clear(&text);
    ml_ids_clear(&ids);
    ml_encoder_free(encoder);
    ml_tokenizer_free(tokenizer);
    return code;
}

int main(int argc, char **argv)
{
    if (argc < 2 || argc > 5) {
        fprintf(stderr, "usage: bench_bpe FILE [MERGES [PRE-TOKENISER [SAVE-AS]]]\n");
        return 2;
    }
    struct ml_error err = {0};
    struct ml_file_map map = {0};
    struct ml_tokenizer_training options = {.merges = argc > 2 ? atoi(argv[2]) : 8000};
    int code = argc > 3 ? ml_pretokenizer_parse(&options.pretokenizer, argv[3], &err) : 0;
    if (code == 0)
        code = ml_file_map_open(&map, argv[1], &err);
    if (code == 0 && map.size > 0)
        code = bench(&map, &options, argc > 4 ? argv[4] : NULL, &err);
    ml_file_map_close(&map);
    if (code < 0)
        fprintf(stderr, "bench_bpe: %s\n", err.message);
    return code < 0;
}
