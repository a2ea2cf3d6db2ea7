#!/usr/bin/env python3
"""Writes the tables of src/base/utf8_width.c from Python's copy of the Unicode database:

    tools/unicode_width.py > src/base/utf8_width.c && clang-format -i src/base/utf8_width.c

Needed only when a new Unicode version should be taken over; the build does not run it.
"""
import textwrap
import unicodedata as u


def zero(c):
    if c == 0xAD:  # soft hyphen: terminals draw it
        return False
    return u.category(chr(c)) in ("Mn", "Me", "Cf") or 0x1160 <= c <= 0x11FF or 0xD7B0 <= c <= 0xD7FF


def unassigned(c):
    return u.category(chr(c)) == "Cn"


def wide(c):
    if 0x20000 <= c <= 0x3FFFD:  # UAX #11: wide before they are assigned
        return True
    # Python answers F for what is not assigned.
    return not zero(c) and not unassigned(c) and u.east_asian_width(chr(c)) in "WF"


def ranges(test):
    out = []
    for c in range(0x300 if test is zero else 0x1100, 0x110000):
        if 0xD800 <= c < 0xE000 or not test(c):
            continue
        # A gap of unassigned characters is bridged: a shorter table, and nobody prints them.
        if out and all(unassigned(x) for x in range(out[-1][1] + 1, c)):
            out[-1][1] = c
        else:
            out.append([c, c])
    return out


def table(name, test):
    rows = ", ".join("{0x%x,0x%x}" % (a, b) for a, b in ranges(test))
    rows = textwrap.fill(rows, 94, initial_indent="    ", subsequent_indent="    ")
    return "static const struct range %s[] = {\n%s\n};\n" % (name, rows.replace(",0x", ", 0x"))


print("""/* Columns of a character on a terminal. The tables are made by tools/unicode_width.py from the
 * Unicode database %s: East_Asian_Width W or F (UAX #11), general categories Mn, Me, Cf. */
#include "base/utf8.h"

struct range {
    uint32_t first, last;
};

/* clang-format off */
%s
%s/* clang-format on */

/* Whether a sorted table of n ranges holds the character. */
static bool in_table(const struct range *table, size_t n, uint32_t codepoint)
{
    size_t low = 0, high = n;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (codepoint > table[middle].last)
            low = middle + 1;
        else
            high = middle;
    }
    return low < n && codepoint >= table[low].first;
}

int ml_utf8_width(uint32_t codepoint)
{
    if (codepoint < 0x300)
        return codepoint >= 0x20 && codepoint != 0x7f;
    if (in_table(zero, sizeof zero / sizeof zero[0], codepoint))
        return 0;
    return in_table(wide, sizeof wide / sizeof wide[0], codepoint) ? 2 : 1;
}""" % (u.unidata_version, table("zero", zero), table("wide", wide)))
