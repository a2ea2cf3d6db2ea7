#include "data/html_charset.h"

#include <errno.h>
#include <iconv.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "base/fail.h"
#include "base/utf8.h"
#include "data/html_tree.h"
#include "data/text_decode.h"

#define PRESCAN 4096 /* bytes in which a page states its charset; the standard says 1,024 */

/* What pages say, and the encoding that browsers take it for (WHATWG Encoding Standard, section
 * 4.2: a name often stands for a later superset). */
static const struct label {
    const char *says, *means;
} labels[] = {
    {"utf-8", "UTF-8"},
    {"utf8", "UTF-8"},
    {"unicode-1-1-utf-8", "UTF-8"},
    {"gb2312", "GB18030"},
    {"gb_2312-80", "GB18030"},
    {"gbk", "GB18030"},
    {"gb18030", "GB18030"},
    {"x-gbk", "GB18030"},
    {"chinese", "GB18030"},
    {"big5", "BIG5-HKSCS"},
    {"big5-hkscs", "BIG5-HKSCS"},
    {"x-x-big5", "BIG5-HKSCS"},
    {"shift_jis", "CP932"},
    {"shift-jis", "CP932"},
    {"sjis", "CP932"},
    {"x-sjis", "CP932"},
    {"windows-31j", "CP932"},
    {"ms_kanji", "CP932"},
    {"euc-jp", "EUC-JP"},
    {"x-euc-jp", "EUC-JP"},
    {"iso-2022-jp", "ISO-2022-JP"},
    {"euc-kr", "CP949"},
    {"ks_c_5601-1987", "CP949"},
    {"ksc5601", "CP949"},
    {"windows-949", "CP949"},
    {"iso-8859-1", "WINDOWS-1252"},
    {"iso8859-1", "WINDOWS-1252"},
    {"iso_8859-1", "WINDOWS-1252"},
    {"latin1", "WINDOWS-1252"},
    {"ascii", "WINDOWS-1252"},
    {"us-ascii", "WINDOWS-1252"},
    {"cp1252", "WINDOWS-1252"},
    {"windows-1252", "WINDOWS-1252"},
    {"windows-1250", "WINDOWS-1250"},
    {"windows-1251", "WINDOWS-1251"},
    {"cp1251", "WINDOWS-1251"},
    {"windows-1253", "WINDOWS-1253"},
    {"windows-1254", "WINDOWS-1254"},
    {"windows-1255", "WINDOWS-1255"},
    {"windows-1256", "WINDOWS-1256"},
    {"windows-1257", "WINDOWS-1257"},
    {"windows-1258", "WINDOWS-1258"},
    {"windows-874", "WINDOWS-874"},
    {"tis-620", "WINDOWS-874"},
    {"iso-8859-2", "ISO-8859-2"},
    {"iso-8859-3", "ISO-8859-3"},
    {"iso-8859-4", "ISO-8859-4"},
    {"iso-8859-5", "ISO-8859-5"},
    {"iso-8859-6", "ISO-8859-6"},
    {"iso-8859-7", "ISO-8859-7"},
    {"iso-8859-8", "ISO-8859-8"},
    {"iso-8859-9", "WINDOWS-1254"},
    {"iso-8859-10", "ISO-8859-10"},
    {"iso-8859-13", "ISO-8859-13"},
    {"iso-8859-14", "ISO-8859-14"},
    {"iso-8859-15", "ISO-8859-15"},
    {"iso-8859-16", "ISO-8859-16"},
    {"koi8-r", "KOI8-R"},
    {"koi8-u", "KOI8-U"},
    {"macintosh", "MACINTOSH"},
    /* Whoever can be asked in ASCII for it is not UTF-16. */
    {"utf-16", "UTF-8"},
    {"utf-16le", "UTF-8"},
    {"utf-16be", "UTF-8"},
};

static const char *meaning_of(const char *label, size_t n)
{
    for (size_t i = 0; i < sizeof labels / sizeof labels[0]; i++)
        if (strlen(labels[i].says) == n && strncasecmp(labels[i].says, label, n) == 0)
            return labels[i].means;
    return NULL;
}

/* ---- what the page says ---- */

static const char *find_word(const char *text, size_t n, const char *word)
{
    size_t length = strlen(word);
    for (size_t i = 0; i + length <= n; i++)
        if ((text[i] | 0x20) == word[0] && strncasecmp(text + i, word, length) == 0)
            return text + i;
    return NULL;
}

/* The value after "charset", "=": in charset="gbk" and in content="text/html; charset=gbk". */
static const char *charset_in(const char *tag, size_t n)
{
    const char *end = tag + n, *at = tag;
    while ((at = find_word(at, (size_t)(end - at), "charset"))) {
        at += 7;
        while (at < end && strchr(" \t\r\n", *at))
            at++;
        if (at == end || *at != '=')
            continue;
        at++;
        while (at < end && strchr(" \t\r\n\"'", *at))
            at++;
        size_t length = 0;
        while (at + length < end && !strchr(" \t\r\n\"';/>", at[length]))
            length++;
        return meaning_of(at, length);
    }
    return NULL;
}

static const char *stated_charset(const char *bytes, size_t n)
{
    const char *at = bytes, *end = bytes + (n < PRESCAN ? n : PRESCAN), *found = NULL;
    while (!found && at < end && (at = memchr(at, '<', (size_t)(end - at)))) {
        size_t left = (size_t)(end - at);
        if (left >= 4 && memcmp(at, "<!--", 4) == 0) {
            const char *close = memmem(at, left, "-->", 3);
            at = close ? close + 3 : end;
            continue;
        }
        const char *close = memchr(at, '>', left);
        if (left > 5 && strncasecmp(at, "<meta", 5) == 0)
            found = charset_in(at + 5, (size_t)((close ? close : end) - at) - 5);
        at++;
    }
    if (!found && n > 5 && memcmp(bytes, "<?xml", 5) == 0) {
        const char *close = memchr(bytes, '>', (size_t)(end - bytes));
        const char *says = close ? find_word(bytes, (size_t)(close - bytes), "encoding=") : NULL;
        if (says && close - says > 10) {
            says += 10;
            size_t length = strcspn(says, "\"'?>");
            found = meaning_of(says, length);
        }
    }
    return found;
}

/* ---- converting ---- */

static bool holds_character(const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)text[i] >= 0x80)
            return true;
    return false;
}

static int fail_size(const char *name, struct ml_error *err)
{
    return ml_fail(err, ML_ERR_LIMIT,
                   "%.300s has more than %zu bytes as UTF-8, the most that a page may have; leave "
                   "it out or split it",
                   name, ML_HTML_MAX_BYTES);
}

/* All of it, with U+FFFD for each byte that has no meaning. *known is false when iconv has no table
 * for the encoding. */
static int convert(struct ml_html_decoded *out, const char *bytes, size_t n, const char *charset,
                   bool *known, const char *name, struct ml_error *err)
{
    iconv_t converter = iconv_open("UTF-8", charset);
    *known = converter != (iconv_t)-1;
    if (!*known)
        return 0;
    char *from = (char *)(uintptr_t)bytes;
    size_t left = n;
    struct ml_buffer *own = &out->own;
    int status = ml_buffer_reserve(own, n + n / 2 + 16, err);
    while (status == 0 && left > 0) {
        char *to = own->data + own->size;
        size_t room = own->capacity - own->size - 1, before = room;
        errno = 0;
        size_t got = iconv(converter, &from, &left, &to, &room);
        own->size += before - room;
        own->data[own->size] = '\0';
        if (own->size > ML_HTML_MAX_BYTES) {
            status = fail_size(name, err);
        } else if (got == (size_t)-1 && errno == E2BIG) {
            status = ml_buffer_reserve(own, own->size + 2 * left + 16, err);
        } else if (got == (size_t)-1) {
            status = ml_buffer_put(own, "\xEF\xBF\xBD", 3, err);
            from++;
            left--;
        }
    }
    iconv_close(converter);
    out->charset = charset;
    out->text = own->data;
    out->size = own->size;
    return status;
}

/* Of the characters beyond ASCII more than nine in ten are sound UTF-8: a page that was cut or put
 * together badly. */
static bool is_mostly_utf8(const char *text, size_t n)
{
    size_t sound = 0, broken = 0;
    for (size_t i = 0; i < n;) {
        uint32_t c = 0;
        size_t length = ml_utf8_decode(text + i, n - i, &c);
        sound += length > 1;
        broken += length == 0;
        i += length ? length : 1;
    }
    return sound > 9 * broken;
}

static const char *utf16_of(const unsigned char *b, size_t n)
{
    if (n < 4)
        return NULL;
    if ((b[0] == 0xFF && b[1] == 0xFE) || (b[0] == '<' && !b[1] && b[2] && !b[3]))
        return "UTF-16LE";
    if ((b[0] == 0xFE && b[1] == 0xFF) || (!b[0] && b[1] == '<' && !b[2] && b[3]))
        return "UTF-16BE";
    return NULL;
}

static int borrow(struct ml_html_decoded *out, const char *bytes, size_t n)
{
    out->charset = "UTF-8";
    out->text = bytes;
    out->size = n;
    return 0;
}

/* Neither UTF-8 nor anything that the page names. */
static int guess(struct ml_html_decoded *out, const char *bytes, size_t n, const char *name,
                 struct ml_error *err)
{
    struct ml_decoded decoded = {0};
    bool known;
    int status = ml_text_decode(&decoded, bytes, n, NULL, err);
    bool chinese = decoded.verdict == ML_TEXT_OK && decoded.encoding == ML_ENCODING_GB18030;
    ml_decoded_clear(&decoded);
    if (status)
        return status;
    status = convert(out, bytes, n, chinese ? "GB18030" : "WINDOWS-1252", &known, name, err);
    return status || known ? status : borrow(out, bytes, n);
}

static int decode(struct ml_html_decoded *out, const char *bytes, size_t n, const char *served,
                  const char *name, struct ml_error *err)
{
    const char *charset = utf16_of((const unsigned char *)bytes, n);
    bool known = false;
    if (charset) {
        size_t mark = (unsigned char)bytes[0] >= 0xFE ? 2 : 0;
        int status = convert(out, bytes + mark, n - mark, charset, &known, name, err);
        if (status || known)
            return status;
    }
    if (n >= 3 && memcmp(bytes, "\xEF\xBB\xBF", 3) == 0)
        return borrow(out, bytes + 3, n - 3);
    charset = served ? meaning_of(served, strlen(served)) : NULL;
    if (!charset)
        charset = stated_charset(bytes, n);
    bool utf8 = ml_utf8_valid(bytes, n);
    if (utf8 && (!charset || strncmp(charset, "ISO-2022", 8) != 0 || holds_character(bytes, n)))
        return borrow(out, bytes, n);
    if (charset && strcmp(charset, "UTF-8") != 0) {
        int status = convert(out, bytes, n, charset, &known, name, err);
        if (status || known)
            return status;
    }
    return is_mostly_utf8(bytes, n) ? borrow(out, bytes, n) : guess(out, bytes, n, name, err);
}

int ml_html_decode(struct ml_html_decoded *out, const char *bytes, size_t n, const char *charset,
                   const char *name, struct ml_error *err)
{
    struct ml_html_decoded decoded = {.text = "", .charset = "UTF-8"};
    int status = n > ML_HTML_MAX_BYTES ? fail_size(name, err)
                                       : decode(&decoded, n ? bytes : "", n, charset, name, err);
    if (status) {
        ml_buffer_clear(&decoded.own);
        return status;
    }
    *out = decoded;
    return 0;
}

void ml_html_decoded_clear(struct ml_html_decoded *decoded)
{
    if (!decoded)
        return;
    ml_buffer_clear(&decoded->own);
    *decoded = (struct ml_html_decoded){0};
}
