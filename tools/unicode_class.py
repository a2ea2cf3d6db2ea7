#!/usr/bin/env python3
"""Writes src/text/char_class_table.c: the class of every character below U+10000 in two stages
(256 blocks, each an index into the different blocks). Python's unicodedata is the source.

usage: python3 tools/unicode_class.py > src/text/char_class_table.c
"""
import unicodedata

OTHER, SPACE, LETTER, DIGIT, MARK, PUNCTUATION, SYMBOL, HAN, KANA, HANGUL = range(10)


def class_of(code):
    if 0xD800 <= code < 0xE000:
        return OTHER
    if 0x3400 <= code < 0x4DC0 or 0x4E00 <= code < 0xA000 or 0xF900 <= code < 0xFB00 or code in (
            0x3005, 0x3007):
        return HAN
    if 0x3041 <= code < 0x3100 and code not in (0x30FB,) or 0x31F0 <= code < 0x3200 or (
            0xFF66 <= code < 0xFFA0):
        return KANA
    if 0xAC00 <= code < 0xD7B0 or 0x1100 <= code < 0x1200 or 0x3130 <= code < 0x3190:
        return HANGUL
    c = chr(code)
    category = unicodedata.category(c)
    if c.isspace() or category[0] == "Z" or code == 0xFEFF or code == 0x200B:
        return SPACE
    return {"L": LETTER, "N": DIGIT, "M": MARK, "P": PUNCTUATION, "S": SYMBOL}.get(category[0], OTHER)


def main():
    classes = [class_of(code) for code in range(0x10000)]
    blocks, index = [], []
    for block in range(256):
        part = classes[256 * block:256 * block + 256]
        if part not in blocks:
            blocks.append(part)
        index.append(blocks.index(part))
    print("/* Made by tools/unicode_class.py from Unicode", unicodedata.unidata_version + ". */")
    print('#include "text/char_class.h"\n')
    print("const uint8_t ml_char_block[256] = {")
    for at in range(0, 256, 24):
        print("    " + ", ".join(map(str, index[at:at + 24])) + ",")
    print("};\n")
    print("const uint8_t ml_char_blocks[][256] = {")
    for part in blocks:
        print("    {")
        for at in range(0, 256, 32):
            print("        " + ", ".join(map(str, part[at:at + 32])) + ",")
        print("    },")
    print("};")


main()
