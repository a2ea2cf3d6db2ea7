#include "data/text_decode.h"

#include <errno.h>
#include <iconv.h>
#include <stdint.h>
#include <string.h>

#include "base/fail.h"
#include "base/utf8.h"

const char *ml_text_encoding_name(enum ml_text_encoding encoding)
{
    static const char *const names[] = {"UTF-8", "UTF-16", "GB18030"};
    return names[encoding];
}

/* ---- from other encodings ---- */

/* After the mark. False when a surrogate stands alone or a byte is left over. */
static int from_utf16(struct ml_buffer *out, const uint8_t *bytes, size_t n, bool big, bool *valid,
                      struct ml_error *err)
{
    int status = ml_buffer_reserve(out, n + n / 2, err);
    *valid = n % 2 == 0;
    for (size_t i = 0; status == 0 && *valid && i + 1 < n; i += 2) {
        uint32_t unit =
            big ? (uint32_t)bytes[i] << 8 | bytes[i + 1] : (uint32_t)bytes[i + 1] << 8 | bytes[i];
        if (unit >= 0xD800 && unit < 0xDC00 && i + 3 < n) {
            uint32_t low = big ? (uint32_t)bytes[i + 2] << 8 | bytes[i + 3]
                               : (uint32_t)bytes[i + 3] << 8 | bytes[i + 2];
            if (low >= 0xDC00 && low < 0xE000) {
                unit = 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
                i += 2;
            }
        }
        char character[4];
        size_t length = ml_utf8_encode(unit, character);
        *valid = length > 0;
        status = ml_buffer_put(out, character, length, err);
    }
    return status;
}

/* The most common characters and marks of Chinese prose and verse. Real text has one of them among
 * every three to six characters; the bytes of another script, read as GB18030, hit them by chance
 * only. */
static const char common[] = "，。、；：？！“”《》（）…的一是不了在人有我他这這个個们們中来來上大为"
                             "為和国國地到以说說时時要就出会會"
                             "可也你对對生能而子那得于於着著下自之年过過发發后後作里裡用道行所然家"
                             "种種事成方多经經么麼去法学學如都同"
                             "现現当當没沒动動面起看定天分还還进進好小部其些主样樣理心她本前开開但"
                             "因只从從想实實日月山水风風花春秋夜"
                             "云雲雨明白何无無相此知君独獨青江空门門长長高老声聲更今古万萬千三二十"
                             "见見思情别別归歸来入头頭手";

static bool is_common(uint32_t character)
{
    size_t n = sizeof common - 1;
    for (size_t i = 0; i < n;) {
        uint32_t c = 0;
        size_t length = ml_utf8_decode(common + i, n - i, &c);
        if (c == character)
            return true;
        i += length ? length : 1;
    }
    return false;
}

/* One common character among twelve, counted over the first 20,000 that are not ASCII. */
static bool reads_like_chinese(const char *text, size_t n)
{
    size_t all = 0, hits = 0;
    for (size_t i = 0; i < n && all < 20000;) {
        uint32_t c = 0;
        size_t length = ml_utf8_decode(text + i, n - i, &c);
        if (c >= 0x80) {
            all++;
            hits += is_common(c);
        }
        i += length ? length : 1;
    }
    return hits > 0 && hits * 12 >= all;
}

static int from_gb18030(struct ml_buffer *out, const char *bytes, size_t n, bool *valid,
                        struct ml_error *err)
{
    *valid = false;
    iconv_t converter = iconv_open("UTF-8", "GB18030");
    if (converter == (iconv_t)-1) /* a system without this table: not an encoding we know then */
        return 0;
    char *from = (char *)(uintptr_t)bytes;
    size_t left = n, got = 0;
    int status = ml_buffer_reserve(out, n + n / 2 + 16, err);
    while (status == 0 && left > 0) {
        char *to = out->data + out->size;
        size_t room = out->capacity - out->size - 1, before = room;
        errno = 0;
        got = iconv(converter, &from, &left, &to, &room);
        int number = errno;
        out->size += before - room;
        out->data[out->size] = '\0';
        if (got != (size_t)-1)
            break;
        if (number != E2BIG) /* not valid, or cut off within a character */
            break;
        status = ml_buffer_reserve(out, out->size + 2 * left + 16, err);
    }
    iconv_close(converter);
    *valid =
        status == 0 && left == 0 && got != (size_t)-1 && reads_like_chinese(out->data, out->size);
    return status;
}

/* ---- what is no text ---- */

/* ESC [ ... letter (colours of a terminal) is text for people; other control characters are not. */
static size_t control_characters(const char *text, size_t n)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c >= 0x20 && c != 0x7f)
            continue;
        bool colour = c == 0x1b && i + 1 < n && text[i + 1] == '[';
        count += !colour && !(c >= '\t' && c <= '\r');
    }
    return count;
}

static bool is_blank(const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!strchr(" \t\n\r\f\v", text[i]))
            return false;
    return true;
}

static enum ml_text_verdict judge(const char *text, size_t n)
{
    if (memchr(text, '\0', n) || control_characters(text, n) * 20 > n)
        return ML_TEXT_BINARY;
    return is_blank(text, n) ? ML_TEXT_EMPTY : ML_TEXT_OK;
}

/* ---- line ends ---- */

/* Into a buffer of its own; the source may be that buffer, since text never grows here. */
static int normalise_lines(struct ml_decoded *out, bool keep_cr, struct ml_error *err)
{
    if (!memchr(out->text, '\r', out->size))
        return 0;
    if (out->text != out->own.data) {
        int status = ml_buffer_put(&out->own, out->text, out->size, err);
        if (status)
            return status;
    }
    char *text = out->own.data;
    size_t kept = 0, n = out->size;
    for (size_t i = 0; i < n; i++) {
        bool pair = text[i] == '\r' && i + 1 < n && text[i + 1] == '\n';
        if (!pair)
            text[kept++] = text[i] == '\r' && !keep_cr ? '\n' : text[i];
    }
    text[kept] = '\0';
    out->own.size = kept;
    out->text = text;
    out->size = kept;
    return 0;
}

/* Finds the encoding; text and size are set when it is known. */
static int decode(struct ml_decoded *out, const char *bytes, size_t n, bool utf8_only,
                  struct ml_error *err)
{
    const uint8_t *b = (const uint8_t *)bytes;
    bool valid = true;
    int status = 0;
    if (n >= 2 && ((b[0] == 0xFF && b[1] == 0xFE) || (b[0] == 0xFE && b[1] == 0xFF))) {
        out->encoding = ML_ENCODING_UTF16;
        status = from_utf16(&out->own, b + 2, n - 2, b[0] == 0xFE, &valid, err);
    } else {
        size_t mark = n >= 3 && b[0] == 0xEF && b[1] == 0xBB && b[2] == 0xBF ? 3 : 0;
        out->text = bytes + mark;
        out->size = n - mark;
        if (ml_utf8_valid(out->text, out->size))
            return 0;
        out->verdict = judge(bytes, n);
        if (out->verdict == ML_TEXT_BINARY)
            return 0;
        out->encoding = ML_ENCODING_GB18030;
        valid = !utf8_only;
        if (valid)
            status = from_gb18030(&out->own, bytes, n, &valid, err);
    }
    if (status)
        return status;
    out->verdict = valid ? ML_TEXT_OK : ML_TEXT_BAD_ENCODING;
    out->text = out->own.data ? out->own.data : "";
    out->size = out->own.size;
    return 0;
}

int ml_text_decode(struct ml_decoded *out, const char *bytes, size_t n,
                   const struct ml_text_decoding *options, struct ml_error *err)
{
    static const struct ml_text_decoding defaults;
    const struct ml_text_decoding *o = options ? options : &defaults;
    struct ml_decoded decoded = {.text = "", .verdict = ML_TEXT_OK};
    int status = decode(&decoded, n ? bytes : "", n, o->utf8_only, err);
    if (status == 0 && decoded.verdict == ML_TEXT_OK)
        decoded.verdict = judge(decoded.text, decoded.size);
    if (status == 0 && decoded.verdict == ML_TEXT_OK)
        status = normalise_lines(&decoded, o->keep_cr, err);
    if (status) {
        ml_buffer_clear(&decoded.own);
        return status;
    }
    *out = decoded;
    return 0;
}

void ml_decoded_clear(struct ml_decoded *decoded)
{
    if (!decoded)
        return;
    ml_buffer_clear(&decoded->own);
    *decoded = (struct ml_decoded){0};
}
