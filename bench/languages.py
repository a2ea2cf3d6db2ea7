#!/usr/bin/env python3
"""The language model beside py3langid (PyPI) on labelled lines, the same languages on both sides.

usage: bench/languages.py BUILD LINES

LINES: LABEL TAB TEXT, such as the sentences of lingua's accuracy reports (language-models/*/testdata/sentences.txt
of github.com/pemistahl/lingua-rs, from the Leipzig corpora), one file with the language's code before each line.
"""
import subprocess
import sys
import time

import py3langid

build, path = sys.argv[1:3]
rows = [line.rstrip("\n").split("\t", 1) for line in open(path, encoding="utf-8") if "\t" in line]
codes = sorted({row[0] for row in rows})
print("n", len(rows), "languages", len(codes))
print("ours", subprocess.run([build + "/bench/classify_eval", "test", "starters/languages/languages.mlc", path],
                             check=True, capture_output=True, text=True).stdout.strip())
py3langid.set_languages(["no" if code == "nb" else code for code in codes])
began = time.perf_counter()
right = sum(py3langid.classify(text)[0] == ("no" if code == "nb" else code) for code, text in rows)
seconds = time.perf_counter() - began
print(f"py3langid accuracy {right / len(rows):.4f} mb_per_s {sum(len(r[1].encode()) for r in rows) / 1e6 / seconds:.2f}")
