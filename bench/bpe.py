#!/usr/bin/env python3
"""Tokenizer training and encoding beside PyPI's `tokenizers`, on one core.

    bench/bpe.py BUILD/bench/bench_bpe FILE... [--megabytes 10] [--merges 8000] [--rounds 5]
                 [--pretokenizer qwen2]

joins the files (JSON lines give their "title" and "text"), takes the first megabytes, and runs both
in turn; printed are medians of processor seconds, so a busy neighbour does not count. The merges and
the ids of both are compared as well. Needs: tokenizers.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

PEER = r"""
import json, sys, time
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
path, merges, ours = sys.argv[1], int(sys.argv[2]), json.load(open(sys.argv[3], encoding="utf-8"))
text = open(path, encoding="utf-8", newline="").read()
mine = Tokenizer.from_file(sys.argv[3])
tokenizer = Tokenizer(models.BPE())
tokenizer.pre_tokenizer = mine.pre_tokenizer
trainer = trainers.BpeTrainer(vocab_size=256 + merges, min_frequency=2, show_progress=False,
                              initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
                              max_token_length=256)
start = time.process_time()
tokenizer.train_from_iterator([text], trainer)
trained = time.process_time()
ids = tokenizer.encode(text).ids
whole = time.process_time()
paragraphs = [p + "\n\n" for p in text.split("\n\n")]
split = time.process_time()
tokenizer.encode_batch_fast(paragraphs)
encoded = min(whole - trained, time.process_time() - split)  # whichever suits it better
joined = lambda merges: [m if isinstance(m, str) else " ".join(m) for m in merges]
theirs = json.loads(tokenizer.to_str())["model"]
print(json.dumps({"train_seconds": trained - start, "encode_seconds": encoded,
                  "tokens": len(ids),
                  "same_merges": joined(theirs["merges"]) == joined(ours["model"]["merges"])}))
"""


def read(path):
    text = pathlib.Path(path).read_text(encoding="utf-8")
    if not path.endswith(".jsonl"):
        return text
    records = (json.loads(line) for line in text.splitlines() if line)
    return "\n\n".join(f"{r.get('title', '')}\n{r.get('text', '')}" for r in records)


def run(command, **extra):
    done = subprocess.run(command, check=True, capture_output=True, text=True, **extra)
    return json.loads(done.stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bench_bpe")
    parser.add_argument("files", nargs="+")
    parser.add_argument("--megabytes", type=float, default=10)
    parser.add_argument("--merges", type=int, default=8000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--pretokenizer", default="qwen2", choices=["qwen2", "gpt2", "char"])
    args = parser.parse_args()
    data = "\n\n".join(map(read, args.files)).encode("utf-8")[:int(args.megabytes * 1e6)]
    data = data.decode("utf-8", errors="ignore").encode("utf-8")  # not half a character at the end
    single = dict(os.environ, RAYON_NUM_THREADS="1", TOKENIZERS_PARALLELISM="false")
    ours, peer = [], []
    with tempfile.TemporaryDirectory() as folder:
        text, saved = os.path.join(folder, "text.txt"), os.path.join(folder, "tokenizer.json")
        pathlib.Path(text).write_bytes(data)
        for _ in range(args.rounds):
            ours.append(run([args.bench_bpe, text, str(args.merges), args.pretokenizer, saved]))
            peer.append(run([sys.executable, "-c", PEER, text, str(args.merges), saved], env=single))
            print(f"  maliang {ours[-1]['train_seconds']:.2f} s + {ours[-1]['encode_seconds']:.2f} s"
                  f", tokenizers {peer[-1]['train_seconds']:.2f} s +"
                  f" {peer[-1]['encode_seconds']:.2f} s", file=sys.stderr)
    import tokenizers
    print(f"{len(data)} bytes, {ours[0]['merges']} merges, {args.pretokenizer}, one core, "
          f"medians of {args.rounds} alternating runs, tokenizers {tokenizers.__version__}")
    for what in ("train", "encode"):
        a = statistics.median(r[f"{what}_seconds"] for r in ours)
        b = statistics.median(r[f"{what}_seconds"] for r in peer)
        print(f"{what:7} maliang {a:7.3f} s ({len(data) / 1e6 / a:6.2f} MB/s)   "
              f"tokenizers {b:7.3f} s ({len(data) / 1e6 / b:6.2f} MB/s)   ratio {b / a:.1f}")
    print("same merges:", all(r["same_merges"] for r in peer),
          "  same number of tokens:", ours[0]["tokens"] == peer[0]["tokens"])


if __name__ == "__main__":
    main()
