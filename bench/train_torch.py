#!/usr/bin/env python3
"""Training speed and memory of Maliang beside PyTorch on the same cores.

    python bench/train_torch.py                      both sides (needs torch from PyPI and build/cli/maliang)
    python bench/train_torch.py --rounds 0           PyTorch alone
    python bench/train_torch.py --model 28m          another of the named shapes
    python bench/train_torch.py --layers 12 --width 768 --heads 12 --ffn 2048 --batch 4

The model is Maliang's (src/model/text_model.c) written in plain PyTorch: RMSNorm, RMS-normed
queries and keys, NEOX RoPE, scaled_dot_product_attention, SwiGLU, tied head, AdamW. A second peer
is a GPT-2 as nanoGPT shapes it (LayerNorm, GELU, learned positions), which has as many weights.
Each is tried in f32 and in bf16 (autocast), eager and compiled; every measurement is a process of
its own. bf16 is left out where the processor has no instructions for it: there one step takes minutes. Those that come near PyTorch's best then take turns with Maliang, for some rounds.

Two measures of speed: what a step takes at best (neighbours only slow down; `maliang bench train`
counts the same way), and tokens a second over a whole run (`maliang train`, with its data). Memory
is the peak resident size of the process.
"""
import argparse
import json
import math
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

SEED = 1
SHAPE = dict(layers=6, width=384, heads=6, kv_heads=0, ffn=1024, context=256, batch=16, vocab=256)
MODELS = {
    "10m": SHAPE,
    "28m": dict(layers=8, width=512, heads=8, kv_heads=0, ffn=1408, context=512, batch=8, vocab=6400),
    "124m": dict(layers=12, width=768, heads=12, kv_heads=0, ffn=2048, context=64, batch=4, vocab=50257),
}
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


# ---- the PyTorch side: one process, one variant ----

def build_ours(torch, shape):
    """Parameters as in src/model/text_model.c; products that share an input are one product here,
    which PyTorch likes better."""
    nn, F = torch.nn, torch.nn.functional
    width, heads, kv = shape["width"], shape["heads"], shape["kv_heads"] or shape["heads"]
    head = width // heads

    def weight(rows, cols, std):
        return nn.Parameter(torch.randn(rows, cols) * std)

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            out = 0.02 / math.sqrt(2 * shape["layers"])
            self.norm1, self.norm2 = (nn.Parameter(torch.ones(width)) for _ in range(2))
            self.q_norm, self.k_norm = (nn.Parameter(torch.ones(head)) for _ in range(2))
            self.qkv = weight((heads + 2 * kv) * head, width, 0.02)
            self.o = weight(width, heads * head, out)
            self.gate_up = weight(2 * shape["ffn"], width, 0.02)
            self.down = weight(width, shape["ffn"], out)

        def forward(self, h, cos, sin):
            B, T, _ = h.shape
            x = F.linear(F.rms_norm(h, (width,), self.norm1, 1e-6), self.qkv)
            q, k, v = x.view(B, T, heads + 2 * kv, head).split([heads, kv, kv], dim=2)
            q = rotate(F.rms_norm(q, (head,), self.q_norm, 1e-6), cos, sin)
            k = rotate(F.rms_norm(k, (head,), self.k_norm, 1e-6), cos, sin)
            y = F.scaled_dot_product_attention(q.transpose(1, 2), k.transpose(1, 2).to(q.dtype),
                                               v.transpose(1, 2).to(q.dtype), is_causal=True,
                                               enable_gqa=kv != heads)
            h = h + F.linear(y.transpose(1, 2).reshape(B, T, heads * head), self.o)
            gate, up = F.linear(F.rms_norm(h, (width,), self.norm2, 1e-6), self.gate_up).chunk(2, -1)
            return h + F.linear(F.silu(gate) * up, self.down)

    def rotate(x, cos, sin):  # [B,T,heads,head], NEOX: the two halves of a head are the pairs
        a, b = x.chunk(2, dim=-1)
        return torch.cat((a * cos - b * sin, b * cos + a * sin), dim=-1).to(x.dtype)

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = weight(shape["vocab"], width, 0.02)
            self.blocks = nn.ModuleList(Block() for _ in range(shape["layers"]))
            self.norm = nn.Parameter(torch.ones(width))
            angle = torch.outer(torch.arange(shape["context"], dtype=torch.float32),
                                1e4 ** (-torch.arange(0, head, 2, dtype=torch.float32) / head))
            self.register_buffer("cos", angle.cos()[:, None, :])
            self.register_buffer("sin", angle.sin()[:, None, :])

        def forward(self, tokens, targets):
            h = F.embedding(tokens, self.embedding)
            for block in self.blocks:
                h = block(h, self.cos, self.sin)
            logits = F.linear(F.rms_norm(h, (width,), self.norm, 1e-6), self.embedding)
            return F.cross_entropy(logits.flatten(0, 1), targets.flatten())

    return Model()


def build_gpt2(torch, shape):
    """GPT-2 without biases, feed-forward of four times the width."""
    nn, F = torch.nn, torch.nn.functional
    width, heads = shape["width"], shape["heads"]

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm1, self.norm2 = nn.LayerNorm(width, bias=False), nn.LayerNorm(width, bias=False)
            self.qkv = nn.Linear(width, 3 * width, bias=False)
            self.o = nn.Linear(width, width, bias=False)
            self.up = nn.Linear(width, 4 * width, bias=False)
            self.down = nn.Linear(4 * width, width, bias=False)

        def forward(self, h):
            B, T, _ = h.shape
            q, k, v = (x.view(B, T, heads, width // heads).transpose(1, 2)
                       for x in self.qkv(self.norm1(h)).split(width, dim=2))
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            h = h + self.o(y.transpose(1, 2).reshape(B, T, width))
            return h + self.down(F.gelu(self.up(self.norm2(h))))

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.tokens = nn.Embedding(shape["vocab"], width)
            self.positions = nn.Embedding(shape["context"], width)
            self.blocks = nn.ModuleList(Block() for _ in range(shape["layers"]))
            self.norm = nn.LayerNorm(width, bias=False)
            self.head = nn.Linear(width, shape["vocab"], bias=False)
            for p in self.parameters():
                if p.dim() > 1:
                    nn.init.normal_(p, std=0.02)
            self.head.weight = self.tokens.weight

        def forward(self, tokens, targets):
            h = self.tokens(tokens) + self.positions.weight[:tokens.shape[1]]
            for block in self.blocks:
                h = block(h)
            return F.cross_entropy(self.head(self.norm(h)).flatten(0, 1), targets.flatten())

    return Model()


def optimizer_for(torch, model):
    """AdamW in the kind of implementation that is faster here, by the better of three steps."""
    groups = [dict(params=[p for p in model.parameters() if p.dim() > 1], weight_decay=0.1),
              dict(params=[p for p in model.parameters() if p.dim() <= 1], weight_decay=0.0)]
    best = None
    for kind in ("fused", "foreach"):
        try:
            candidate = torch.optim.AdamW(groups, lr=1e-4, betas=(0.9, 0.95), **{kind: True})
            for p in model.parameters():
                p.grad = torch.zeros_like(p)
            took = []
            for _ in range(4):
                start = time.perf_counter()
                candidate.step()
                took.append(time.perf_counter() - start)
        except (RuntimeError, TypeError, ValueError):
            continue
        if best is None or min(took[1:]) < best[0]:
            best = (min(took[1:]), kind)
    model.zero_grad(set_to_none=True)
    return torch.optim.AdamW(groups, lr=1e-4, betas=(0.9, 0.95), **{best[1]: True}), best[1]


def measure_torch(variant, shape, seconds, threads):
    import torch
    imported = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    arch, precision, how = variant.split("-")
    torch.manual_seed(SEED)
    torch.set_num_threads(threads)
    model = {"ours": build_ours, "gpt2": build_gpt2}[arch](torch, shape)
    optimizer, kind = optimizer_for(torch, model)
    count = sum(p.numel() for p in model.parameters())
    run = model
    if how != "eager":
        run = torch.compile(model, mode="max-autotune" if how == "autotune" else "default")
    text = torch.randint(shape["vocab"], (1 << 20,))
    span = torch.arange(shape["context"])

    def step():
        at = torch.randint(len(text) - shape["context"] - 1, (shape["batch"], 1)) + span
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            loss = run(text[at], text[at + 1])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return loss

    start = time.perf_counter()
    step(), step()  # compiling, first touch of memory
    warm = time.perf_counter() - start
    took, begin = [], time.perf_counter()
    while len(took) < 3 or time.perf_counter() - begin < seconds:
        start = time.perf_counter()
        loss = step()
        took.append(time.perf_counter() - start)
    tokens = shape["batch"] * shape["context"]
    print(json.dumps({
        "best": tokens / min(took), "run": tokens * len(took) / sum(took), "steps": len(took),
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "imported": imported * 1024, "warm_up_seconds": warm, "optimizer": kind,
        "parameters": count, "loss": float(loss.detach()), "torch": torch.__version__}))


# ---- processes ----

def busy():
    """Jiffies of all processors: at work, in all."""
    with open("/proc/stat") as f:
        numbers = [int(x) for x in f.readline().split()[1:9]]
    return sum(numbers) - numbers[3] - numbers[4], sum(numbers)


def neighbours(seconds=0.5):
    """Share of the processors that others keep busy right now."""
    work, total = busy()
    time.sleep(seconds)
    work2, total2 = busy()
    return (work2 - work) / max(1, total2 - total)


def child(command, env=None):
    """Standard output and peak resident bytes of a process, or why it failed."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        process = subprocess.Popen(command, stdout=out, stderr=err, env=env)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        if process.returncode != 0:
            lines = [line for line in err.read().strip().splitlines() if line.strip()]
            raise RuntimeError(f"{command[0]} failed ({process.returncode}): "
                               f"{lines[-1][:300] if lines else 'no message'}")
        return out.read(), usage.ru_maxrss * 1024


def torch_child(options, variant, seconds):
    command = [sys.executable, os.path.abspath(__file__), "--child", variant, "--seconds",
               str(seconds), "--threads", str(options.threads)]
    for name in SHAPE:
        command += ["--" + name.replace("_", "-"), str(getattr(options, name))]
    env = dict(os.environ, OMP_NUM_THREADS=str(options.threads))
    return json.loads(child(command, env)[0].strip().splitlines()[-1])


def shape_arguments(options):
    arguments = []
    for name in SHAPE:
        if getattr(options, name):
            arguments += ["--" + name.replace("_", "-"), str(getattr(options, name))]
    return arguments


def maliang_bench(options, precision):
    out, memory = child([options.maliang, "bench", "train", "--json", "--quiet", "--threads",
                         str(options.threads), "--seconds", str(options.seconds), "--precision",
                         precision] + shape_arguments(options))
    row = next(r for r in json.loads(out) if r["unit"] == "tokens/s")
    return {"best": row["value"], "peak_share": row["peak_share"], "memory": memory,
            "what": row["name"]}


RECIPE = """name: speed
data: {{dataset: speed, validation: 0}}
tokenizer: {{kind: bpe, pretokenizer: gpt2, vocab: {vocab}, special: []}}
model: {{layers: {layers}, width: {width}, heads: {heads}, kv_heads: {kv_heads}, ffn: {ffn}, context: {context}}}
train: {{batch: {batch}, steps: {steps}, optimizer: adamw, lr: 0.0001, precision: {precision}, seed: {seed}, checkpoint_every: {steps}}}
"""


def prepare_text(options, folder):
    """Collects a text of random lower-case words, so that nothing need be downloaded."""
    import random
    rng = random.Random(SEED)
    path = os.path.join(folder, "words.txt")
    with open(path, "w") as f:
        for _ in range(6000):
            f.write(" ".join("".join(rng.choice("etaoinshrdlu") for _ in range(rng.randint(2, 9)))
                             for _ in range(12)) + "\n")
    child([options.maliang, "collect", "--quiet", "--workspace", folder + "/workspace", "--dataset",
           "speed", path])


def maliang_train(options, folder, precision, steps):
    values = {name: getattr(options, name) for name in SHAPE}
    recipe = os.path.join(folder, "speed.yaml")
    with open(recipe, "w") as f:
        f.write(RECIPE.format(steps=steps, seed=SEED, precision=precision, **values))
    out, memory = child([options.maliang, "train", recipe, "--json", "--quiet", "--restart",
                         "--workspace", folder + "/workspace", "--threads", str(options.threads)])
    result = json.loads(out)
    return {"run": result["tokens_per_second"], "memory": memory,
            "parameters": result["parameters"]}


# ---- the comparison ----

def has_bf16():
    with open("/proc/cpuinfo") as f:
        return "bf16" in f.read()


def variants_of(options):
    if options.variants:
        return options.variants.split(",")
    precisions = ("f32", "bf16") if has_bf16() else ("f32",)
    hows = ["eager", "compile"] + (["autotune"] if options.autotune else [])
    return [f"{arch}-{precision}-{how}" for arch in ("ours", "gpt2") for how in hows
            for precision in precisions]


def say(text):
    print(text, flush=True)


def scout(options):
    """Every variant once. Those that cannot run are named."""
    found = {}
    say(f"PyTorch, each variant once, {options.scout:g} s each "
        f"({100 * neighbours():.0f}% of the processors busy with other things):")
    say(f"  {'variant':22} {'best tok/s':>10} {'run tok/s':>10} {'memory':>9}  AdamW")
    for variant in variants_of(options):
        try:
            r = found[variant] = torch_child(options, variant, options.scout)
        except RuntimeError as error:
            say(f"  {variant:22} left out: {error}")
            continue
        say(f"  {variant:22} {r['best']:10.0f} {r['run']:10.0f} {r['memory'] / 1e6:6.0f} MB  "
            f"{r['optimizer']}; {r['parameters'] / 1e6:.2f}M weights, warm-up "
            f"{r['warm_up_seconds']:.0f} s, after import {r['imported'] / 1e6:.0f} MB")
    if not found:
        sys.exit("train_torch.py: no variant of PyTorch ran; see above")
    return found


def contenders(found):
    """Variants that may turn out to be PyTorch's best: within a tenth of it in either measure."""
    top = {m: max(r[m] for r in found.values()) for m in ("best", "run")}
    return [v for v, r in found.items() if any(r[m] >= 0.9 * top[m] for m in top)]


def take_rounds(options, found):
    rows = {}
    names = contenders(found)
    with tempfile.TemporaryDirectory(prefix="maliang-speed-") as folder:
        prepare_text(options, folder)
        guess = maliang_bench(options, options.precision)["best"]
        steps = max(5, int(options.seconds * guess / (options.batch * options.context)))
        for number in range(options.rounds):
            say(f"round {number + 1} of {options.rounds} "
                f"({100 * neighbours():.0f}% busy with other things)")
            order = ["maliang bench", "maliang train"] + names
            for name in order if number % 2 == 0 else order[::-1]:
                if name == "maliang bench":
                    r = maliang_bench(options, options.precision)
                elif name == "maliang train":
                    r = maliang_train(options, folder, options.precision, steps)
                else:
                    r = torch_child(options, name, options.seconds)
                rows.setdefault(name, []).append(r)
                say("  " + f"{name:22} " + "  ".join(f"{m} {r[m]:.0f} tok/s" for m in ("best", "run")
                                                   if m in r) + f"  {r['memory'] / 1e6:.0f} MB")
    return rows


def medians(rows):
    return {name: {m: statistics.median(r[m] for r in results) for m in ("best", "run", "memory")
                   if m in results[0]} for name, results in rows.items()}


def compare(options, rows):
    middle = medians(rows)
    torch_rows = {n: m for n, m in middle.items() if not n.startswith("maliang")}
    best = max(torch_rows, key=lambda n: torch_rows[n]["best"])
    run = max(torch_rows, key=lambda n: torch_rows[n]["run"])
    ours_bench, ours_train = middle["maliang bench"], middle["maliang train"]
    shape = " ".join(f"{n}={getattr(options, n)}" for n in SHAPE)
    say(f"\nmedians of n={options.rounds} rounds, {options.seconds:g} s each, seed {SEED}, "
        f"{options.threads} threads, {shape}")
    say(f"  {'':22} {'best tok/s':>10} {'run tok/s':>10} {'memory':>9}")
    for name, m in middle.items():
        cells = [f"{m[k]:10.0f}" if k in m else f"{'-':>10}" for k in ("best", "run")]
        say(f"  {name:22} {cells[0]} {cells[1]} {m['memory'] / 1e6:6.0f} MB")
    result = {
        "rounds": options.rounds, "seed": SEED, "threads": options.threads, "medians": middle,
        "torch_best": {"step": best, "run": run},
        "step_speed_ratio": ours_bench["best"] / torch_rows[best]["best"],
        "run_speed_ratio": ours_train["run"] / torch_rows[run]["run"],
        "memory_ratio": ours_train["memory"] / torch_rows[run]["memory"],
    }
    say(f"\nspeed of a step at best: maliang {ours_bench['best']:.0f} / {best} "
        f"{torch_rows[best]['best']:.0f} tokens/s = {result['step_speed_ratio']:.2f}")
    say(f"speed of a whole run:    maliang {ours_train['run']:.0f} / {run} "
        f"{torch_rows[run]['run']:.0f} tokens/s = {result['run_speed_ratio']:.2f}")
    say(f"peak memory of that run: maliang {ours_train['memory'] / 1e6:.0f} / {run} "
        f"{torch_rows[run]['memory'] / 1e6:.0f} MB = {result['memory_ratio']:.2f}")
    return result


def arguments():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--maliang", default=os.path.join(ROOT, "build", "cli", "maliang"),
                   help="the program (default: build/cli/maliang)")
    p.add_argument("--rounds", type=int, default=5, help="rounds of taking turns; 0: PyTorch alone")
    p.add_argument("--seconds", type=float, default=10, help="of each measurement (default: 10)")
    p.add_argument("--scout", type=float, default=6, help="seconds of each variant's first try")
    p.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    p.add_argument("--precision", default="auto", help="of Maliang: auto, f32, bf16")
    p.add_argument("--variants", help="such as ours-bf16-compile,gpt2-f32-eager (default: all)")
    p.add_argument("--autotune", action="store_true", help="try max-autotune too (slow to start)")
    p.add_argument("--json", metavar="FILE", help="write all measurements to FILE")
    p.add_argument("--child", help=argparse.SUPPRESS)
    p.add_argument("--model", choices=MODELS, default="10m",
                   help="shape and batch: 10.7M (default), 28.8M with 6,400 words, a GPT-2 of 124M")
    for name in SHAPE:
        p.add_argument("--" + name.replace("_", "-"), type=int, help="instead of the model's")
    options = p.parse_args()
    for name, value in MODELS[options.model].items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    return options


def main():
    options = arguments()
    if options.child:
        measure_torch(options.child, {n: getattr(options, n) for n in SHAPE}, options.seconds,
                      options.threads)
        return
    if options.rounds and not shutil.which(options.maliang):
        sys.exit(f"train_torch.py: there is no {options.maliang}; build it (ninja -C build), name "
                 "it with --maliang, or measure PyTorch alone with --rounds 0")
    result = {"scout": scout(options)}
    if options.rounds:
        rows = take_rounds(options, result["scout"])
        result.update(compare(options, rows), rows=rows)
    if options.json:
        with open(options.json, "w") as f:
            json.dump(result, f, indent=1)


if __name__ == "__main__":
    main()
