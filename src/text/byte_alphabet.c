#include "base/utf8.h"
#include "text/tokenizer_impl.h"

/* GPT-2 writes bytes as characters that a JSON file or a terminal shows: '!'..'~', U+00A1..U+00AC
 * and U+00AE..U+00FF stand for themselves, the other 68 bytes in order for U+0100 and up. */
static bool stands_for_itself(unsigned byte)
{
    return (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte != 0xad);
}

/* How many bytes below this one do not stand for themselves. */
static unsigned shifted_below(unsigned byte)
{
    if (byte <= 0x20)
        return byte;
    if (byte <= 0x7e)
        return 0x21;
    return byte <= 0xa0 ? 0x21 + byte - 0x7f : 0x21 + 0x22;
}

uint32_t ml_alphabet_char(uint8_t byte)
{
    return stands_for_itself(byte) ? byte : 0x100 + shifted_below(byte);
}

int ml_alphabet_byte(uint32_t codepoint)
{
    if (codepoint < 0x100)
        return stands_for_itself(codepoint) ? (int)codepoint : -1;
    unsigned rank = codepoint - 0x100;
    if (rank <= 0x20)
        return (int)rank;
    if (rank < 0x21 + 0x22)
        return (int)(rank - 0x21 + 0x7f);
    return rank == 0x21 + 0x22 ? 0xad : -1;
}

uint8_t ml_alphabet_order(int rank)
{
    int seen = 0;
    for (uint32_t codepoint = 0;; codepoint++) {
        int byte = ml_alphabet_byte(codepoint);
        if (byte >= 0 && seen++ == rank)
            return (uint8_t)byte;
    }
}

int ml_alphabet_put(struct ml_buffer *out, const char *bytes, size_t size, struct ml_error *err)
{
    for (size_t i = 0; i < size; i++) {
        char text[4];
        size_t n = ml_utf8_encode(ml_alphabet_char((uint8_t)bytes[i]), text);
        int code = ml_buffer_put(out, text, n, err);
        if (code < 0)
            return code;
    }
    return 0;
}
