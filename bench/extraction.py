#!/usr/bin/env python3
"""Main text of web pages beside PyPI's `trafilatura`: how well and how fast, on one core.

    bench/extraction.py BUILD/bench/bench_html FOLDER... [--rounds 5] [--half dev|test|both]
                        [--json FILE] [--worst 0]

A folder is a checkout of one of

    github.com/scrapinghub/article-extraction-benchmark   whole article bodies (ground-truth.json)
    github.com/adbar/trafilatura                          pieces that must and must not be there

Pages fall into two halves by the hash of their key; the rules of src/data/html_main.c were made on
the "dev" half alone. Whole bodies are scored as that benchmark does it (shingles of four words, each
page weighs the same), pieces by counting those that were found. Times are medians of alternating
rounds, processor seconds, pages in memory before: ours from bytes, trafilatura from strings with its
default settings but comments. Needs: trafilatura.
"""
import argparse
import collections
import gzip
import hashlib
import json
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time


def half_of(key):
    return "dev" if hashlib.sha256(key.encode()).digest()[0] % 2 == 0 else "test"


class Bodies:
    """article-extraction-benchmark: the text of each article."""

    name = "whole bodies"

    def __init__(self, folder):
        truth = json.loads((folder / "ground-truth.json").read_text(encoding="utf-8"))
        self.pages = {key: gzip.decompress((folder / "html" / f"{key}.html.gz").read_bytes())
                      for key in sorted(truth)}
        self.truth = {key: truth[key]["articleBody"] for key in truth}

    @staticmethod
    def shingles(text):
        words = re.findall(r"\w+", text)
        return collections.Counter(tuple(words[i:i + 4]) for i in range(max(1, len(words) - 3)) if words)

    def page(self, key, text):
        wanted, got = self.shingles(self.truth[key]), self.shingles(text)
        return sum((wanted & got).values()), sum(got.values()), sum(wanted.values())

    def score(self, keys, texts):
        counts = [self.page(key, texts[key]) for key in keys]
        precision = statistics.mean([tp / got for tp, got, _ in counts if got] or [0])
        recall = statistics.mean([tp / wanted for tp, _, wanted in counts if wanted] or [0])
        return precision, recall


class Pieces:
    """trafilatura's own evaluation: pieces of text that must and must not be there."""

    name = "marked pieces"

    def __init__(self, folder):
        tests = folder / "tests"
        truth = json.loads((tests / "evaldata.json").read_text(encoding="utf-8"))
        self.truth = {key: (item["with"], item["without"]) for key, item in truth.items()}
        self.pages = {}
        for key in sorted(truth):
            places = (tests / where / truth[key]["file"] for where in ("cache", "eval"))
            self.pages[key] = next(place for place in places if place.is_file()).read_bytes()

    @staticmethod
    def flat(text):
        return re.sub(r"\s+", " ", text).strip()

    def page(self, key, text):
        text = self.flat(text)
        wanted, unwanted = self.truth[key]
        found = sum(self.flat(piece) in text for piece in wanted)
        return found, found + sum(self.flat(piece) in text for piece in unwanted), len(wanted)

    def score(self, keys, texts):
        found, got, wanted = map(sum, zip(*(self.page(key, texts[key]) for key in keys)))
        return found / max(got, 1), found / wanted


def open_folder(name):
    folder = pathlib.Path(name)
    if (folder / "ground-truth.json").is_file():
        return Bodies(folder)
    if (folder / "tests" / "evaldata.json").is_file():
        return Pieces(folder)
    sys.exit(f"{name} is a checkout of neither benchmark; see --help")


def run_ours(program, paths):
    done = subprocess.run([program, "1", *paths], check=True, capture_output=True, text=True)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return {line["file"]: line for line in lines[:-1]}, lines[-1]["seconds"]


def run_theirs(strings):
    import trafilatura
    started, texts = time.process_time(), {}
    for key, string in strings.items():
        texts[key] = trafilatura.extract(string, include_comments=False) or ""
    return texts, time.process_time() - started


def measure(program, pages, rounds, folder):
    """Texts of both sides and their seconds, medians of alternating rounds."""
    from trafilatura.utils import decode_file
    strings = {key: decode_file(page) for key, page in pages.items()}
    paths = {}
    for number, (key, page) in enumerate(pages.items()):
        paths[key] = f"{folder}/{number}.html"
        pathlib.Path(paths[key]).write_bytes(page)
    ours, theirs = [], []
    for number in range(rounds):
        found, seconds = run_ours(program, paths.values())
        ours.append(seconds)
        their_texts, seconds = run_theirs(strings)
        theirs.append(seconds)
        print(f"  round {number + 1}: maliang {ours[-1]:.2f} s, trafilatura {theirs[-1]:.2f} s", file=sys.stderr)
    our_texts = {key: found[path]["text"] if path in found else "" for key, path in paths.items()}
    return our_texts, their_texts, statistics.median(ours), statistics.median(theirs)


def print_scores(corpus, half, keys, sides):
    row = {"corpus": corpus.name, "half": half, "n": len(keys)}
    for name, texts in sides.items():
        precision, recall = corpus.score(keys, texts)
        f1 = 2 * precision * recall / max(precision + recall, 1e-9)
        row[name] = {"f1": f1, "precision": precision, "recall": recall}
        print(f"{corpus.name:14} {half:5} n {len(keys):4}  {name:11}  F1 {f1:.4f}  precision {precision:.4f}"
              f"  recall {recall:.4f}")
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bench_html")
    parser.add_argument("folders", nargs="+")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--half", default="both", choices=["dev", "test", "both"])
    parser.add_argument("--json", help="write all figures here")
    parser.add_argument("--worst", type=int, default=0, help="name so many pages where we lose most")
    args = parser.parse_args()
    import trafilatura
    rows = []
    for corpus in map(open_folder, args.folders):
        halves = ["dev", "test"] if args.half == "both" else [args.half]
        pages = {key: page for key, page in corpus.pages.items() if half_of(key) in halves}
        with tempfile.TemporaryDirectory() as folder:
            ours, theirs, our_seconds, their_seconds = measure(args.bench_html, pages, args.rounds, folder)
        size = sum(map(len, pages.values()))
        for half in halves:
            keys = [key for key in pages if half_of(key) == half]
            rows.append(print_scores(corpus, half, keys, {"maliang": ours, "trafilatura": theirs}))
        print(f"{corpus.name:14} {len(pages)} pages, {size / 1e6:.1f} MB, medians of {args.rounds} rounds:"
              f" maliang {our_seconds:.2f} s ({size / 1e6 / our_seconds:.1f} MB/s), trafilatura"
              f" {trafilatura.__version__} {their_seconds:.2f} s, ratio {their_seconds / our_seconds:.1f}")
        rows.append({"corpus": corpus.name, "bytes": size, "maliang_seconds": our_seconds,
                     "trafilatura_seconds": their_seconds})
        for key in sorted(pages, key=lambda key: f1_of(corpus, key, ours) - f1_of(corpus, key, theirs))[:args.worst]:
            print(f"  {f1_of(corpus, key, ours):.2f} beside {f1_of(corpus, key, theirs):.2f}  {key}")
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


def f1_of(corpus, key, texts):
    found, got, wanted = corpus.page(key, texts[key])
    return 2 * found / max(got + wanted, 1)


if __name__ == "__main__":
    main()
