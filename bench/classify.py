#!/usr/bin/env python3
"""The text classifier beside fastText (PyPI: fasttext-wheel) on labelled news, 80/20, three seeds.

usage: bench/classify.py BUILD NEWS_FOLDER

NEWS_FOLDER holds ag_news_4000.csv and thucnews_titles_10000.tsv. fastText gets lower-cased words, Chinese as
single characters with blanks between (it does not segment), and of its settings (rate, epochs, n-grams) those
that were best on a fifth of the training part (seed 1), looked for here first. Ours has its defaults.
"""
import csv
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time


def read(folder):
    with open(folder + "/ag_news_4000.csv", encoding="utf-8") as f:
        ag = [(row[0], (row[1] + ". " + row[2]).replace("\t", " ").replace("\n", " ")) for row in csv.reader(f)]
    with open(folder + "/thucnews_titles_10000.tsv", encoding="utf-8") as f:
        titles = [tuple(reversed(line.rstrip("\n").split("\t"))) for line in f]
    return {"ag_news": ag, "thucnews": titles}


def split(rows, seed):
    rows = list(rows)
    random.Random(seed).shuffle(rows)
    at = len(rows) * 4 // 5
    return rows[:at], rows[at:]


def spaced(text):
    text = re.sub(r"([\u3400-\u9fff])", r" \1 ", text.lower())
    return re.sub(r"[^\w]+", " ", text).strip()


def ours(build, train, test, folder):
    paths = [f"{folder}/{name}" for name in ("train", "test", "model")]
    for path, rows in zip(paths, (train, test)):
        with open(path, "w", encoding="utf-8") as f:
            f.writelines(f"{label}\t{text}\n" for label, text in rows)
    tool = build + "/bench/classify_eval"
    told = subprocess.run([tool, "train", paths[0], paths[2]], check=True, capture_output=True, text=True).stdout
    got = subprocess.run([tool, "test", paths[2], paths[1]], check=True, capture_output=True, text=True).stdout
    return float(got.split()[1]), float(told.split()[-1]), float(got.split()[-1])


def peer(train, test, folder, seed, settings):
    import fasttext
    fasttext.FastText.eprint = lambda text: None
    path = folder + "/fasttext"
    with open(path, "w", encoding="utf-8") as f:
        f.writelines(f"__label__{label} {spaced(text)}\n" for label, text in train)
    began = time.perf_counter()
    model = fasttext.train_supervised(path, lr=settings[0], epoch=settings[1], wordNgrams=settings[2],
                                      minn=settings[3], maxn=settings[4], thread=1, seed=seed, verbose=0)
    seconds = time.perf_counter() - began
    right = sum(model.f.predict(spaced(text) + "\n", 1, 0.0, "strict")[0][1] == "__label__" + label
                for label, text in test)
    return right / len(test), seconds


def main():
    build, data = sys.argv[1:3]
    grid = [(lr, epoch, n, a, b) for lr in (0.2, 0.5, 1.0) for epoch in (5, 10, 25) for n in (1, 2, 3)
            for a, b in ((0, 0),)] + [(0.5, 10, 2, 3, 5), (0.5, 25, 2, 3, 5)]
    with tempfile.TemporaryDirectory() as folder:
        for name, rows in read(data).items():
            inner = split(split(rows, 1)[0], 1)
            best = max(grid, key=lambda s: peer(inner[0], inner[1], folder, 1, s)[0])
            mine, theirs = [], []
            for seed in (1, 2, 3):
                train, test = split(rows, seed)
                mine.append(ours(build, train, test, folder))
                theirs.append(peer(train, test, folder, seed, best))
            print(f"{name}: n train {len(train)} test {len(test)}, seeds 1 2 3: ours "
                  f"{100 * statistics.mean(m[0] for m in mine):.2f}% (training {max(m[1] for m in mine):.2f} s, "
                  f"applying {statistics.median(m[2] for m in mine):.0f} MB/s); fastText {best} "
                  f"{100 * statistics.mean(t[0] for t in theirs):.2f}% ({max(t[1] for t in theirs):.2f} s)")


main()
