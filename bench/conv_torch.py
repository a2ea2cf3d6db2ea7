#!/usr/bin/env python3
"""Convolutions of a UNet and of a vocoder beside PyTorch (oneDNN), forward and gradients.

    python bench/conv_torch.py                    f32, all threads
    python bench/conv_torch.py --threads 1 --bf16 --rounds 3

Both sides take turns shape by shape; of each turn the best call counts, of the rounds the median.
PyTorch runs torch.nn.functional's convolution under its own choice of layout, contiguous and
channels_last, whichever is faster; gradients are those of input, weight and bias. Scratch is beside
what an im2col buffer would take.
"""
import argparse
import json
import math
import os
import statistics
import subprocess
import time

import torch
from torch.nn import functional as F

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# name: N, C, H, W, O, KH, KW, stride, padding, dilation, groups, transposed
SHAPES = {
    "unet 64x64 128 3x3": (2, 128, 64, 64, 128, 3, 3, 1, 1, 1, 1, 0),
    "unet 32x32 256 3x3": (2, 256, 32, 32, 256, 3, 3, 1, 1, 1, 1, 0),
    "unet 16x16 512 3x3": (2, 512, 16, 16, 512, 3, 3, 1, 1, 1, 1, 0),
    "unet 8x8 512 3x3": (2, 512, 8, 8, 512, 3, 3, 1, 1, 1, 1, 0),
    "unet 64x64 in 4": (2, 4, 64, 64, 128, 3, 3, 1, 1, 1, 1, 0),
    "unet down 128 s2": (2, 128, 64, 64, 128, 3, 3, 2, 1, 1, 1, 0),
    "unet 32x32 1x1": (2, 384, 32, 32, 256, 1, 1, 1, 0, 1, 1, 0),
    "vocoder 256 k7": (1, 256, 1, 512, 256, 1, 7, 1, 3, 1, 1, 0),
    "vocoder 128 k11 d5": (1, 128, 1, 4096, 128, 1, 11, 1, 25, 5, 1, 0),
    "vocoder 64 k3 d3": (1, 64, 1, 8192, 64, 1, 3, 1, 3, 3, 1, 0),
    "vocoder 32 k7": (1, 32, 1, 16384, 32, 1, 7, 1, 3, 1, 1, 0),
    "vocoder up 512 16/8": (1, 512, 1, 64, 256, 1, 16, 8, 4, 1, 1, 1),
    "vocoder up 128 4/2": (1, 128, 1, 4096, 64, 1, 4, 2, 1, 1, 1, 1),
    "depthwise 256 3x3": (2, 256, 32, 32, 256, 3, 3, 1, 1, 1, 256, 0),
    "depthwise 512 k7": (1, 512, 1, 1024, 512, 1, 7, 1, 3, 1, 512, 0),
}


def call_torch(s, bf16, last, seconds):
    n, c, h, w, o, kh, kw, stride, pad, dil, groups, transposed = s
    pair = lambda v, one: (v, v) if h > 1 else (one, v)
    kind = torch.bfloat16 if bf16 else torch.float32
    order = torch.channels_last if last else torch.contiguous_format
    shape = (c, o // groups, kh, kw) if transposed else (o, c // groups, kh, kw)
    x = torch.randn(n, c, h, w).to(kind).to(memory_format=order).requires_grad_()
    weight = torch.randn(shape).to(kind).to(memory_format=order).requires_grad_()
    bias = torch.randn(o).to(kind).requires_grad_()
    if transposed:
        run = lambda: F.conv_transpose2d(x, weight, bias, pair(stride, 1), pair(pad, 0), 0, groups,
                                         pair(dil, 1))
    else:
        run = lambda: F.conv2d(x, weight, bias, pair(stride, 1), pair(pad, 0), pair(dil, 1), groups)
    best = [math.inf, math.inf]
    y = run()
    dy = torch.randn_like(y)
    for which in range(2):
        begin, tries = time.perf_counter(), 0
        while tries < 3 or time.perf_counter() - begin < seconds:
            start = time.perf_counter()
            if which == 0:
                with torch.no_grad():
                    run()
            else:
                torch.autograd.grad(y, (x, weight, bias), dy, retain_graph=True)
            best[which] = min(best[which], time.perf_counter() - start)
            tries += 1
    return best


def main():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--program", default=os.path.join(ROOT, "build", "bench", "bench_conv"))
    p.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--seconds", type=float, default=0.3, help="of each call's turn")
    p.add_argument("--bf16", action="store_true")
    p.add_argument("--only", default="", help="shapes whose name has this in it")
    o = p.parse_args()
    torch.set_num_threads(o.threads)
    print(f"{'shape':22} {'forward ms':>20} {'gradients ms':>20} {'ratios':>13}  scratch/im2col")
    logs = {"dense": ([], []), "depthwise": ([], [])}
    for name, s in SHAPES.items():
        if o.only not in name:
            continue
        ours, theirs, stats = [], [], None
        for _ in range(o.rounds):
            command = [o.program, ",".join(map(str, s)), "--threads", str(o.threads), "--seconds",
                       str(o.seconds)] + (["--bf16"] if o.bf16 else [])
            stats = json.loads(subprocess.run(command, capture_output=True, text=True,
                                              check=True).stdout)
            ours.append((stats["forward"], stats["gradients"]))
            ways = [call_torch(s, o.bf16, last, o.seconds / 2) for last in (False, True)]
            theirs.append([min(w[i] for w in ways) for i in range(2)])
            time.sleep(0.05)
        a = [statistics.median(r[i] for r in ours) for i in range(2)]
        b = [statistics.median(r[i] for r in theirs) for i in range(2)]
        ratio = [b[i] / a[i] for i in range(2)]
        for i in range(2):
            logs["depthwise" if "depthwise" in name else "dense"][i].append(math.log(ratio[i]))
        print(f"{name:22} {a[0] * 1e3:9.3f} {b[0] * 1e3:9.3f}  {a[1] * 1e3:9.3f} {b[1] * 1e3:9.3f}  "
              f"{ratio[0]:5.2f} {ratio[1]:5.2f}  {stats['scratch'] / stats['im2col']:.3f} "
              f"{stats['scratch_gradients'] / stats['im2col']:.3f}", flush=True)
    for kind, (forward, gradients) in logs.items():
        if not forward:
            continue
        print(f"{kind}: geometric mean forward {math.exp(statistics.mean(forward)):.2f}, gradients "
              f"{math.exp(statistics.mean(gradients)):.2f} (ours first; above 1: we are faster); "
              f"n={o.rounds}, {o.threads} threads, {'bf16' if o.bf16 else 'f32'}")


if __name__ == "__main__":
    main()
