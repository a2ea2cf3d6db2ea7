#!/usr/bin/env python3
"""Nearest neighbours beside sqlite-vec (through apsw), NumPy and hnswlib (PyPI); embeddings beside plain tf-idf.

usage: bench/find.py BUILD [--count 100000] [--queries 100] [--seed 1] [--texts LABELLED_LINES...]

Vectors: COUNT of 384 numbers in 500 clusters, made by bench_find. One thread each, median milliseconds of a
query, top 10; recall against exact f32 arithmetic. sqlite-vec is asked for f32 (its usual form) and int8 vectors.
Texts: lines of LABEL TAB TEXT; the share of the 10 nearest texts that have the same label.
"""
import argparse
import os
import statistics
import subprocess
import tempfile
import time

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"
import numpy as np  # noqa: E402


def timed(queries, ask):
    seconds = []
    answers = []
    for q in queries:
        began = time.perf_counter()
        answers.append(ask(q))
        seconds.append(time.perf_counter() - began)
    return 1e3 * statistics.median(seconds), answers


def recall(answers, truth):
    return np.mean([len(set(a) & set(t)) / 10 for a, t in zip(answers, truth)])


def sqlite_vec(x, queries, int8):
    import apsw
    import sqlite_vec as module
    db = apsw.Connection(":memory:")
    db.enable_load_extension(True)
    db.load_extension(module.loadable_path())
    kind = "int8" if int8 else "float"
    db.execute(f"create virtual table v using vec0(e {kind}[{x.shape[1]}] distance_metric=cosine)")
    wrap = "vec_int8(?)" if int8 else "?"
    pack = (lambda r: np.round(r / np.abs(r).max() * 127).astype(np.int8).tobytes()) if int8 else (
        lambda r: r.tobytes())
    with db:
        db.executemany(f"insert into v(rowid, e) values (?, {wrap})", ((i, pack(r)) for i, r in enumerate(x)))
    return timed(queries, lambda q: [row[0] for row in db.execute(
        f"select rowid from v where e match {wrap} and k = 10", (pack(q),))])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build")
    parser.add_argument("--count", type=int, default=100000)
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--texts", nargs="*", default=[])
    a = parser.parse_args()
    tool = a.build + "/bench/bench_find"
    with tempfile.TemporaryDirectory() as folder:
        path = folder + "/vectors"
        print("count", a.count, "width 384 queries", a.queries, "seed", a.seed, "one thread", flush=True)
        subprocess.run([tool, "vectors", str(a.count), "384", str(a.queries), str(a.seed), path], check=True)
        both = np.fromfile(path, dtype=np.float32).reshape(-1, 384)
        x, queries = both[:a.count], both[a.count:]
        truth = [np.argsort(-(x @ q), kind="stable")[:10].tolist() for q in queries]
        ms, answers = timed(queries, lambda q: (lambda s: (lambda p: p[np.argsort(-s[p])])(
            np.argpartition(-s, 10)[:10]))(x @ q).tolist())
        print(f"NumPy f32 ms {ms:.3f} recall {recall(answers, truth):.4f}", flush=True)
        for int8 in (False, True):
            ms, answers = sqlite_vec(x, queries, int8)
            print(f"sqlite-vec {'int8' if int8 else 'f32'} ms {ms:.3f} recall {recall(answers, truth):.4f}", flush=True)
        try:
            import hnswlib
            index = hnswlib.Index(space="cosine", dim=384)
            index.init_index(max_elements=a.count, M=16, ef_construction=200, random_seed=a.seed)
            index.set_num_threads(1)
            began = time.perf_counter()
            index.add_items(x, num_threads=1)
            print(f"hnswlib build_s {time.perf_counter() - began:.1f}", flush=True)
            for breadth in (32, 64, 128):
                index.set_ef(breadth)
                ms, answers = timed(queries, lambda q: index.knn_query(q, k=10, num_threads=1)[0][0].tolist())
                print(f"hnswlib breadth {breadth} ms {ms:.4f} recall {recall(answers, truth):.4f}", flush=True)
        except ImportError:
            print("hnswlib is not installed")
        out = subprocess.run([tool, "vectors", str(a.count), "384", str(a.queries), str(a.seed), path],
                             check=True, capture_output=True, text=True).stdout
        print("again:", out.splitlines()[0], flush=True)
    for path in a.texts:
        print(path, subprocess.run([tool, "texts", path], check=True, capture_output=True, text=True).stdout.strip())
        from sklearn.feature_extraction.text import TfidfVectorizer
        rows = [line.rstrip("\n").split("\t", 1) for line in open(path, encoding="utf-8")]
        labels = np.array([row[0] for row in rows])
        for analyzer, n in (("word", (1, 2)), ("char_wb", (2, 4))):
            m = TfidfVectorizer(analyzer=analyzer, ngram_range=n, sublinear_tf=True).fit_transform(
                [row[1] for row in rows])
            picked = np.arange(0, len(rows), 5)
            s = (m[picked] @ m.T).toarray()
            s[np.arange(len(picked)), picked] = -1
            near = np.argpartition(-s, 10, axis=1)[:, :10]
            print(f"  tf-idf of {analyzer} {n}: same_label_at_10 "
                  f"{(labels[near] == labels[picked][:, None]).mean():.4f}")
        counts = np.unique(labels, return_counts=True)[1] / len(labels)
        print(f"  by chance {np.sum(counts ** 2):.4f}")


main()
