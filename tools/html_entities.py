#!/usr/bin/env python3
"""Writes src/data/html_entity_names.c, HTML's named characters, from Python's copy of the standard's list:

    tools/html_entities.py > src/data/html_entity_names.c

Needed only when the standard's list changes, which it has promised not to; the build does not run it.
"""
import html.entities

# Some names may also stand without their semicolon.
loose = {name for name in html.entities.html5 if not name.endswith(";")}
values = {name.rstrip(";"): value for name, value in html.entities.html5.items()}

lines, line = [], "   "
for name in sorted(values):
    row = ' "%s%s%s",' % (name, " " if name in loose else ";",
                          "".join("\\x%02x" % b for b in values[name].encode()))
    if len(line) + len(row) > 100:
        lines.append(line)
        line = "   "
    line += row
print("""/* Made by tools/html_entities.py. */
#include "data/html_entities.h"

/* clang-format off */
const char *const ml_html_entity_names[ML_HTML_ENTITY_COUNT] = {
%s
};
/* clang-format on */
_Static_assert(ML_HTML_ENTITY_COUNT == %d, "the count in the header");""" % ("\n".join(lines + [line]), len(values)))
