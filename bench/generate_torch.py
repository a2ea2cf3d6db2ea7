#!/usr/bin/env python3
"""Generation speed of Maliang beside PyTorch with a key-value cache, on the same cores.

    python bench/generate_torch.py                 10.7M and 124M, batch 1 and 8, f32 and bf16
    python bench/generate_torch.py --models 10m --batches 1 --rounds 3

The model is Maliang's (src/model/text_model.c) in plain PyTorch, as a user would write it for
speed: a preallocated cache, one product for queries, keys and values, one for gate and up, weights
in f32 or bf16, torch.inference_mode, eager and compiled. A step reads one token a row, half a
context in, and gives the logits of the next one; `maliang bench generate` does the same. Processes
take turns; the best step counts (neighbours only slow down); medians over rounds; the ratio is to
PyTorch's best variant. Random weights: speed does not depend on them.
"""
import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
MODELS = {
    "10m": dict(layers=6, width=384, heads=6, ffn=1024, context=256, vocab=256),
    "124m": dict(layers=12, width=768, heads=12, ffn=2048, context=512, vocab=50257),
}


def build(torch, shape, batch, dtype):
    F = torch.nn.functional
    width, heads, context = shape["width"], shape["heads"], shape["context"]
    head, layers = width // heads, shape["layers"]

    def weight(*dims):
        return torch.nn.Parameter((torch.randn(*dims) * 0.02).to(dtype), requires_grad=False)

    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = weight(shape["vocab"], width)
            lists = {"qkv": (3 * width, width), "o": (width, width),
                     "gate_up": (2 * shape["ffn"], width), "down": (width, shape["ffn"])}
            for name, dims in lists.items():
                setattr(self, name, torch.nn.ParameterList(weight(*dims) for _ in range(layers)))
            for name, size in {"n1": width, "n2": width, "qn": head, "kn": head}.items():
                setattr(self, name, torch.nn.ParameterList(weight(size) for _ in range(layers)))
            self.norm = weight(width)
            cache = torch.zeros(layers, 2, batch, heads, context, head, dtype=dtype)
            self.register_buffer("cache", cache)
            angle = torch.outer(torch.arange(context, dtype=torch.float32),
                                1e4 ** (-torch.arange(0, head, 2, dtype=torch.float32) / head))
            self.register_buffer("cos", angle.cos().to(dtype))
            self.register_buffer("sin", angle.sin().to(dtype))

        def rotate(self, x, at):
            cos, sin = self.cos[at], self.sin[at]
            a, b = x.chunk(2, dim=-1)
            return torch.cat((a * cos - b * sin, b * cos + a * sin), dim=-1)

        def forward(self, tokens, at):
            h = F.embedding(tokens, self.embedding)
            for i in range(layers):
                x = F.linear(F.rms_norm(h, (width,), self.n1[i], 1e-6), self.qkv[i])
                q, k, v = x.view(batch, 3, heads, head).unbind(1)
                q = self.rotate(F.rms_norm(q, (head,), self.qn[i], 1e-6), at)
                k = self.rotate(F.rms_norm(k, (head,), self.kn[i], 1e-6), at)
                self.cache[i, 0, :, :, at] = k
                self.cache[i, 1, :, :, at] = v
                keys, values = self.cache[i, 0, :, :, :at + 1], self.cache[i, 1, :, :, :at + 1]
                y = F.scaled_dot_product_attention(q.unsqueeze(2), keys, values)
                h = h + F.linear(y.reshape(batch, width), self.o[i])
                x = F.linear(F.rms_norm(h, (width,), self.n2[i], 1e-6), self.gate_up[i])
                gate, up = x.chunk(2, dim=-1)
                h = h + F.linear(F.silu(gate) * up, self.down[i])
            return F.linear(F.rms_norm(h, (width,), self.norm, 1e-6), self.embedding)

    return Model()


def measure_torch(job):
    import torch
    torch.manual_seed(1)
    torch.set_num_threads(job["threads"])
    dtype = torch.bfloat16 if job["precision"] == "bf16" else torch.float32
    shape, batch = MODELS[job["model"]], job["batch"]
    model = build(torch, shape, batch, dtype).eval()
    run = torch.compile(model) if job["how"] == "compile" else model
    tokens = torch.randint(shape["vocab"], (batch,))
    at = shape["context"] // 2
    took = []
    with torch.inference_mode():
        run(tokens, at), run(tokens, at)
        begin = time.perf_counter()
        while len(took) < 3 or time.perf_counter() - begin < job["seconds"]:
            start = time.perf_counter()
            logits = run(tokens, at)
            logits.argmax(-1)
            took.append(time.perf_counter() - start)
    print(json.dumps({"best": batch / min(took), "median": batch / statistics.median(took)}))


def torch_child(job):
    env = dict(os.environ, OMP_NUM_THREADS=str(job["threads"]))
    done = subprocess.run([sys.executable, os.path.abspath(__file__), "--child", json.dumps(job)],
                          capture_output=True, text=True, env=env, timeout=job["patience"])
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip().splitlines()[-1][:200])
    return json.loads(done.stdout.strip().splitlines()[-1])["best"]


def maliang(job, program):
    command = [program, "bench", "generate", "--json", "--quiet", "--threads", str(job["threads"]),
               "--seconds", str(job["seconds"]), "--precision", job["precision"], "--batch",
               str(job["batch"])]
    for name, value in MODELS[job["model"]].items():
        command += ["--" + name, str(value)]
    rows = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return next(r["value"] for r in rows if r["unit"] == "tokens/s")


def compare(options, model, batch, precision):
    job = dict(model=model, batch=batch, precision=precision, threads=options.threads,
               seconds=options.seconds, patience=options.patience)
    rows = {}
    for number in range(options.rounds):
        sides = ["maliang"] + options.hows.split(",")
        for side in sides if number % 2 == 0 else sides[::-1]:
            if rows.get(side) == [None]:
                continue
            try:
                value = (maliang(job, options.maliang) if side == "maliang"
                         else torch_child(dict(job, how=side)))
                rows.setdefault(side, []).append(value)
            except (RuntimeError, subprocess.TimeoutExpired) as error:
                print(f"  PyTorch {side} left out: {str(error)[:90]}", flush=True)
                rows[side] = [None]
    middle = {s: statistics.median(v) for s, v in rows.items() if v != [None]}
    peers = {s: v for s, v in middle.items() if s != "maliang"}
    if not peers:
        print(f"{model:5} batch {batch}  {precision:4}  maliang {middle['maliang']:8.0f}  "
              "PyTorch: none ran", flush=True)
        return None
    best = max(peers, key=peers.get)
    ratio = middle["maliang"] / peers[best]
    print(f"{model:5} batch {batch}  {precision:4}  maliang {middle['maliang']:8.0f}  PyTorch "
          f"{best:7} {peers[best]:8.0f} tokens/s  ratio {ratio:5.2f}", flush=True)
    return dict(job, rows=rows, ratio=ratio)


def main():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--maliang", default=os.path.join(ROOT, "build", "cli", "maliang"))
    p.add_argument("--models", default="10m,124m")
    p.add_argument("--batches", default="1,8")
    p.add_argument("--precisions", default="f32,bf16")
    p.add_argument("--hows", default="eager,compile", help="PyTorch's variants")
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--seconds", type=float, default=4, help="of each measurement")
    p.add_argument("--patience", type=float, default=300, help="seconds for one process of PyTorch")
    p.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    p.add_argument("--json", metavar="FILE")
    p.add_argument("--child", help=argparse.SUPPRESS)
    options = p.parse_args()
    if options.child:
        return measure_torch(json.loads(options.child))
    results = [compare(options, m, int(b), t) for m in options.models.split(",")
               for b in options.batches.split(",") for t in options.precisions.split(",")]
    ratios = [r["ratio"] for r in results if r]
    if ratios:
        print(f"geometric mean {math.exp(statistics.mean(map(math.log, ratios))):.2f}, "
              f"worst {min(ratios):.2f}; n={options.rounds} rounds, {options.threads} threads")
    if options.json:
        with open(options.json, "w") as f:
            json.dump(results, f, indent=1)


if __name__ == "__main__":
    main()
