#!/usr/bin/env python3
"""Training lines for the language model (starters/languages): LABEL TAB TEXT from treebanks of Universal
Dependencies, whose sentences are written in "# text = " lines.

usage: tools/language_model.py OUT LANGUAGE=FOLDER... [--per-language 6000]

FOLDER holds *.conllu files; all are used (what is tested comes from elsewhere, see docs/figures.md). Then:

    classify_eval train OUT starters/languages/languages.mlc chars bits=15 epochs=10 seed=1
"""
import glob
import random
import re
import sys


def sentences(folder):
    out = []
    for path in sorted(glob.glob(folder + "/*.conllu")):
        with open(path, encoding="utf-8") as lines:
            out += [line[9:].strip() for line in lines if line.startswith("# text = ")]
    return sorted(set(out))


def examples(texts, per_language, rng):
    """Sentences, halves of sentences, pairs and upper case: what short and odd texts look like."""
    rng.shuffle(texts)
    out = []
    for i in range(per_language):
        text = texts[i % len(texts)]
        kind = rng.random()
        if kind < 0.25 and len(text) > 20:
            words = re.split(r"(?<= )", text) if " " in text else list(text)
            cut = rng.randrange(1, max(2, len(words)))
            text = "".join(words[:cut] if rng.random() < 0.5 else words[cut:])
        elif kind < 0.5:
            text += " " + texts[rng.randrange(len(texts))]
        text = text.replace("\t", " ").strip()
        if text:
            out.append(text)
    return out


def main():
    per_language = 6000
    arguments = sys.argv[1:]
    if "--per-language" in arguments:
        at = arguments.index("--per-language")
        per_language = int(arguments[at + 1])
        del arguments[at:at + 2]
    if len(arguments) < 3:
        sys.exit(__doc__)
    rng = random.Random(1)
    lines = []
    folders = {}
    for pair in arguments[1:]:
        language, folder = pair.split("=", 1)
        folders.setdefault(language, []).append(folder)
    for language, places in sorted(folders.items()):
        texts = [s for place in places for s in sentences(place)]
        if not texts:
            sys.exit(f"{places}: no sentences in *.conllu files")
        lines += [f"{language}\t{text}\n" for text in examples(texts, per_language, rng)]
        print(f"{language}: {len(texts)} sentences", file=sys.stderr)
    rng.shuffle(lines)
    with open(arguments[0], "w", encoding="utf-8") as out:
        out.writelines(lines)


main()
