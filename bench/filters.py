#!/usr/bin/env python3
"""The passes of curating beside datatrove (PyPI) on the same texts, one core each.

usage: bench/filters.py BUILD FILE [--rounds 3] [--peer-texts 300]

FILE holds texts with a form feed between them; BUILD is a build folder with bench/bench_filters in it.
The peer runs FineWeb's quality filters (Gopher repetition, Gopher quality, C4 without the rule on final
punctuation, FineWeb) on the first --peer-texts texts, without a language step: its model is a download.
So its side does less. Rounds alternate; medians of both.
"""
import argparse
import statistics
import subprocess
import time


def ours(build, path):
    out = subprocess.run([build + "/bench/bench_filters", path, "3"], check=True, capture_output=True, text=True)
    rows = [line.split() for line in out.stdout.splitlines()]
    return rows[0], {row[0]: float(row[2]) for row in rows[1:]}


def peer_filters():
    from datatrove.pipeline.filters import (C4QualityFilter, FineWebQualityFilter, GopherQualityFilter,
                                            GopherRepetitionFilter)
    return [GopherRepetitionFilter(), GopherQualityFilter(), C4QualityFilter(filter_no_terminal_punct=False),
            FineWebQualityFilter()]


def peer_minhash():
    from datatrove.pipeline.dedup import MinhashDedupSignature
    from datatrove.pipeline.dedup.minhash import MinhashConfig
    from datatrove.utils.hashing import HashConfig
    return MinhashDedupSignature(output_folder="/tmp", config=MinhashConfig(
        hash_config=HashConfig(precision=64, hash_fc="sha1"), num_buckets=14, hashes_per_bucket=8))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build")
    parser.add_argument("file")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peer-texts", type=int, default=300)
    a = parser.parse_args()
    from datatrove.data import Document
    texts = open(a.file, encoding="utf-8").read().split("\f")
    part = texts[:a.peer_texts]
    size = sum(len(t.encode()) for t in part)
    filters, minhash = peer_filters(), peer_minhash()
    speeds = {"filters": [], "minhash": [], "peer filters": [], "peer minhash": []}
    kept = 0
    for _ in range(a.rounds):
        head, mine = ours(a.build, a.file)
        speeds["filters"].append(mine["language+rules"])
        speeds["minhash"].append(mine["minhash"])
        began = time.perf_counter()
        kept = 0
        for i, text in enumerate(part):
            document = Document(text=text, id=str(i))
            ok = True
            for step in filters:
                result = step.filter(document)
                if result is not True and not (isinstance(result, tuple) and result[0]):
                    ok = False
                    break
            kept += ok
        speeds["peer filters"].append(size / 1e6 / (time.perf_counter() - began))
        began = time.perf_counter()
        for i, text in enumerate(part):
            shingles = minhash.get_shingles(text)
            if len(shingles):
                minhash.get_signature(shingles)
        speeds["peer minhash"].append(size / 1e6 / (time.perf_counter() - began))
    median = {name: statistics.median(values) for name, values in speeds.items()}
    print(" ".join(head), "rounds of both", a.rounds, "peer texts", len(part), "kept by the peer", kept)
    for name in ("filters", "minhash"):
        print(f"{name}: {median[name]:.1f} MB/s; datatrove {median['peer ' + name]:.3f} MB/s; "
              f"{median[name] / median['peer ' + name]:.0f} times")


main()
