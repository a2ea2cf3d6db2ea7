/* An emoji font, and the names behind it: all up to the mark "<ldml" is the font. */
#include "data/emoji.h"
#include "fuzz.h"
#include "fuzz_sink.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char plain[] = "<ldml><annotation cp='\xF0\x9F\x98\x80' type='tts'>a</annotation>"
                                "<annotation cp='\xE2\x98\x80' type='tts'>b</annotation></ldml>";
    const uint8_t *mark = size ? memmem(data, size, "<ldml", 5) : NULL;
    size_t n = mark ? (size_t)(mark - data) : size, total = 0;
    const char *xml = mark ? (const char *)mark : plain;
    struct ml_emoji_font font;
    struct ml_emoji_names names = {0}, none = {0};
    struct ml_error err = {0}, ignored = {0};
    const struct ml_reader_sink sink = {
        .document = fuzz_document, .left_out = fuzz_left_out, .arg = &total};
    /* Names come from files that are installed, so their UTF-8 is taken for granted. */
    if (mark && !ml_utf8_valid(xml, size - n))
        return 0;
    ml_emoji_names_add(&names, xml, mark ? size - n : sizeof plain - 1, &ignored);
    ml_emoji_names_sort(&names);
    int status = ml_emoji_font_open(&font, "a.ttf", data, n, &err);
    if (status == 0)
        status = ml_emoji_give(&font, &names, &none, &sink, &err);
    if (status != err.code)
        abort();
    ml_emoji_names_clear(&names);
    return 0;
}
