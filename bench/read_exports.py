#!/usr/bin/env python3
"""Reads what `maliang datasets export` writes with other people's readers and compares every value.

    pip install pyarrow mlcroissant webdataset
    bench/read_exports.py build/cli/maliang [RECORDS]

Makes a workspace of RECORDS texts (default 20000) and 50 pictures in a temporary folder, exports it
in every format, reads the files back with pyarrow, webdataset and mlcroissant, and prints sizes and
seconds. Ends with 1 when a value differs.
"""
import hashlib
import json
import os
import random
import struct
import subprocess
import sys
import tempfile
import time
import zlib

import mlcroissant
import pyarrow.parquet
import webdataset


def png(width, height, colour):
    """A picture of one colour."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + bytes(colour) * width for _ in range(height))
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def make_material(folder, records):
    rng = random.Random(7)
    words = "the fox crossed river at night 山 水 春 风 月 夜 🌙 and under bridge, quietly.".split()
    with open(folder + "/texts.jsonl", "w") as out:
        for i in range(records):
            text = " ".join(rng.choice(words) for _ in range(rng.randrange(5, 200)))
            row = {"text": f"{i} {text}", "title": f"第{i}篇", "author": rng.choice(["某", "Ann"]), "year": i % 90}
            out.write(json.dumps(row, ensure_ascii=False) + "\n")
    for i in range(50):
        with open(f"{folder}/p{i}.png", "wb") as out:
            out.write(png(32 + i, 24, (i * 5, 100, 200 - i)))
        with open(f"{folder}/p{i}.txt", "w") as out:
            out.write(f"a flat picture, number {i}\n")


class Check:
    def __init__(self):
        self.wrong = 0

    def equal(self, what, a, b):
        if a != b:
            self.wrong += 1
            if self.wrong <= 10:
                print(f"DIFFERS {what}: {str(a)[:100]!r} {str(b)[:100]!r}")


def check_parquet(check, path, rows):
    table = pyarrow.parquet.read_table(path).to_pylist()
    check.equal("parquet rows", len(table), len(rows))
    for got, row in zip(table, rows):
        for name in ("title", "licence", "consent"):
            check.equal(name, got[name], row[name] or None)
        for name in ("kind", "type", "source", "hash"):
            check.equal(name, got[name], row[name])
        check.equal("text", got["text"], row.get("text"))
        check.equal("size", got["size"], row["bytes"])
        check.equal("meta", json.loads(got["meta"]), row["meta"])
        check.equal("labels", json.loads(got["labels"]), row["labels"])
        if row["kind"] == "image":
            check.equal("bytes", hashlib.sha256(got["bytes"]).hexdigest(), row["hash"])


def check_webdataset(check, folder, rows):
    shards = sorted(os.path.join(folder, name) for name in os.listdir(folder))
    samples = list(webdataset.WebDataset(shards, shardshuffle=False))
    check.equal("samples", len(samples), len(rows))
    for sample, row in zip(samples, rows):
        rest = json.loads(sample["json"])
        check.equal("json", rest, {k: v for k, v in row.items() if k != "text"})
        if "text" in row:
            check.equal("txt", sample["txt"].decode(), row["text"])
        if row["kind"] == "image":
            check.equal("png", hashlib.sha256(sample["png"]).hexdigest(), row["hash"])
    return len(shards)


def check_croissant(check, folder, rows):
    dataset = mlcroissant.Dataset(folder + "/croissant.json")
    check.equal("errors", dataset.metadata.ctx.issues.errors, set())
    print("  mlcroissant warnings:", len(dataset.metadata.ctx.issues.warnings))
    for warning in dataset.metadata.ctx.issues.warnings:
        print("   ", warning)
    files = {}
    for got, row in zip(dataset.records("records"), rows):
        check.equal("croissant hash", got["records/hash"].decode(), row["hash"])
        check.equal("croissant meta", json.loads(got["records/meta"]), row["meta"])
        check.equal("croissant labels", json.loads(got["records/labels"]), row["labels"])
        check.equal("croissant bytes", got["records/bytes"], row["bytes"])
        if "text" in row:
            check.equal("croissant text", got["records/text"].decode(), row["text"])
        if row["kind"] == "image":
            files[got["records/file"].decode()] = row["hash"]
    if files:
        for got in dataset.records("media"):
            name = os.path.basename(got["media/file"].decode())
            content = got["media/content"]
            check.equal("media", hashlib.sha256(content).hexdigest(), files.pop(name, None))
        check.equal("media that is missing", files, {})


def main():
    program, records = os.path.abspath(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 20000
    check = Check()
    with tempfile.TemporaryDirectory() as folder:
        os.mkdir(folder + "/material")
        make_material(folder + "/material", records)
        os.chdir(folder)

        def maliang(*arguments):
            began = time.monotonic()
            subprocess.run([program, *arguments, "--quiet", "-w", "ws"], check=True, stdout=subprocess.DEVNULL)
            return time.monotonic() - began

        maliang("collect", "-d", "all", "--licence", "CC0-1.0", "material")
        outs = {"jsonl": "o.jsonl", "jsonl.zst": "o.jsonl.zst", "parquet": "o.parquet", "webdataset": "o.wds",
                "croissant": "o.croissant"}
        for name, out in outs.items():
            more = ["--shard", "1"] if name == "webdataset" else []
            seconds = maliang("datasets", "export", "all", out, "--format", name, *more)
            size = os.path.getsize(out) if os.path.isfile(out) else sum(
                os.path.getsize(os.path.join(out, f)) for f in os.listdir(out))
            print(f"{name:12s} {size / 1e6:8.2f} MB {seconds:6.2f} s")
        with open("o.jsonl") as lines:
            rows = [json.loads(line) for line in lines]
        check.equal("records", len(rows), records + 50)
        unpacked = subprocess.run(["zstd", "-dc", "o.jsonl.zst"], stdout=subprocess.PIPE, check=True).stdout
        check.equal("zst", unpacked, open("o.jsonl", "rb").read())
        check_parquet(check, "o.parquet", rows)
        print("webdataset shards:", check_webdataset(check, "o.wds", rows))
        check_croissant(check, "o.croissant", rows)
        table = pyarrow.parquet.read_table("o.parquet")
        pyarrow.parquet.write_table(table, "pyarrow.parquet", compression="zstd")
        print(f"pyarrow's own file of the same table: {os.path.getsize('pyarrow.parquet') / 1e6:.2f} MB")
    print("values that differ:", check.wrong)
    return 1 if check.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
