/* What the tests of src/text share. */
#ifndef TEXT_CHECK_H
#define TEXT_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/files.h"
#include "base/rng.h"
#include "text/tokenizer.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

/* Text with both scripts, contractions, digits, blanks and bytes that are not UTF-8. */
static const char sample_text[] =
    "床前明月光，疑是地上霜。\n舉頭望明月，低頭思故鄉。\n"
    "The fox hadn't eaten; the fox jumped, and jumped again, but couldn't reach the grapes.\n"
    "\"They're sour,\" said the fox -- and went away.   1, 2, 3, 10, 2026, 2026, 10000!\n\n\n"
    "aaaaaaa aaaa aaa aa a bababababab abcabcabcab \t\t  \r\n  x  \n"
    "白日依山盡，黃河入海流。明月明月山山人人 caf\xc3\xa9 \xe4\xb8 \xff\xfe\x80 \xf0\x9f\x98\x80"
    "\xf0\x9f\x98\x80 the the the fox fox grapes grapes 明月\n";

static inline struct ml_tokenizer *train_on(const char *text, size_t size,
                                            const struct ml_tokenizer_training *options)
{
    struct ml_error err = {0};
    struct ml_tokenizer *t = NULL;
    struct ml_text_piece piece = {text, size};
    if (ml_tokenizer_train(&t, &piece, 1, options, &err) < 0)
        fail_msg("%s", err.message);
    return t;
}

static inline void check_round_trip(const struct ml_tokenizer *t, const char *text, size_t size,
                                    int flags)
{
    struct ml_error err = {0};
    struct ml_ids ids = {0};
    struct ml_buffer back = {0};
    assert_int_equal(ml_tokenizer_encode(t, text, size, flags, &ids, &err), 0);
    for (size_t i = 0; i < ids.count; i++)
        assert_in_range(ids.ids[i], 0, ml_tokenizer_size(t) - 1);
    assert_int_equal(ml_decode(t, ids.ids, ids.count, ML_DECODE_ALL, &back, &err), 0);
    assert_int_equal(back.size, size);
    if (size)
        assert_memory_equal(back.data, text, size);
    ml_buffer_clear(&back);
    ml_ids_clear(&ids);
}

#endif
