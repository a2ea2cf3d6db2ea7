#include "text/char_class.h"

/* Alphabets whose two cases lie side by side: even is upper, or (odd = 1) odd is. */
static bool paired(uint32_t c, bool *upper)
{
    bool even_is_upper = (c >= 0x100 && c < 0x138 && c != 0x130 && c != 0x131) ||
                         (c >= 0x14A && c < 0x178) || (c >= 0x1E00 && c < 0x1E96) ||
                         (c >= 0x1EA0 && c < 0x1F00) || (c >= 0x460 && c < 0x482) ||
                         (c >= 0x48A && c < 0x4C0) || (c >= 0x4D0 && c < 0x530) ||
                         (c >= 0x1DE && c < 0x1F0) || (c >= 0x1F8 && c < 0x220);
    bool odd_is_upper = (c >= 0x139 && c < 0x149) || (c >= 0x179 && c < 0x17F) ||
                        (c >= 0x1CD && c < 0x1DD) || (c >= 0x4C1 && c < 0x4CF);
    *upper = even_is_upper ? (c & 1) == 0 : (c & 1) == 1;
    return even_is_upper || odd_is_upper;
}

uint32_t ml_char_lower(uint32_t c)
{
    bool upper = false;
    if (c < 0x80)
        return c >= 'A' && c <= 'Z' ? c + 32 : c;
    if (c < 0x100)
        return c >= 0xC0 && c <= 0xDE && c != 0xD7 ? c + 32 : c;
    if (paired(c, &upper))
        return upper ? c + 1 : c;
    if (c == 0x178)
        return 0xFF;
    if (c == 0x130)
        return 'i';
    if ((c >= 0x391 && c <= 0x3AB && c != 0x3A2) || (c >= 0x410 && c <= 0x42F) ||
        (c >= 0xFF21 && c <= 0xFF3A))
        return c + 32;
    if (c >= 0x388 && c <= 0x38A)
        return c + 37;
    if (c >= 0x400 && c <= 0x40F)
        return c + 80;
    if (c >= 0x531 && c <= 0x556)
        return c + 48;
    return c == 0x386 ? 0x3AC : c == 0x38C ? 0x3CC : c == 0x38E ? 0x3CD : c == 0x38F ? 0x3CE : c;
}
