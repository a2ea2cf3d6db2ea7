#!/usr/bin/env python3
"""Golden optimiser steps, made with PyTorch: tests/golden/optim.txt.

AdamW is torch.optim.AdamW (f32). Muon follows the formulas in src/nn/optim.h, in f64. Start values and
gradients come from a formula that the C test computes too, so only results are stored.

    python tools/golden/optim.py > tests/golden/optim.txt
"""
import math

import torch

SHAPES = [("wide", (6, 10)), ("tall", (12, 5)), ("square", (8, 8)), ("vector", (7,))]
STEPS = 5
LR, DECAY, BETAS, EPS = 0.02, 0.1, (0.9, 0.95), 1e-8
A, B, C = 3.4445, -4.7750, 2.0315


def value(index, salt):
    """Uniform in [-1, 1) with 24 bits, exact in f32: the lowbias32 hash of index and salt."""
    x = (index + 1000003 * salt) & 0xFFFFFFFF
    x = ((x ^ (x >> 16)) * 0x7FEB352D) & 0xFFFFFFFF
    x = ((x ^ (x >> 15)) * 0x846CA68B) & 0xFFFFFFFF
    x ^= x >> 16
    return (x >> 8) / 2**23 - 1


def tensor(shape, salt):
    n = math.prod(shape)
    return torch.tensor([value(i, salt) for i in range(n)], dtype=torch.float64).reshape(shape).float()


def emit(name, t):
    print(name, *(f"{x:.9g}" for x in t.flatten().tolist()))


def adamw():
    for k, (name, shape) in enumerate(SHAPES):
        w = torch.nn.Parameter(tensor(shape, k))
        decay = 0.0 if len(shape) == 1 else DECAY
        optimiser = torch.optim.AdamW([w], lr=LR, betas=BETAS, eps=EPS, weight_decay=decay)
        for step in range(STEPS):
            w.grad = 0.5 * tensor(shape, 100 + 10 * step + k)
            optimiser.step()
        emit("adamw." + name, w.data)


def newton_schulz(d):
    x = d / (d.norm() + 1e-7)
    tall = x.shape[0] > x.shape[1]
    x = x.T if tall else x
    for _ in range(5):
        a = x @ x.T
        x = A * x + (B * a + C * a @ a) @ x
    return x.T if tall else x


def muon(scale):
    for k, (name, shape) in enumerate(SHAPES):
        if len(shape) == 1:
            continue
        w, m = tensor(shape, k).double(), torch.zeros(shape, dtype=torch.float64)
        s = 0.2 * math.sqrt(max(shape)) if scale == "match" else math.sqrt(max(1, shape[0] / shape[1]))
        for step in range(STEPS):
            g = 0.5 * tensor(shape, 100 + 10 * step + k).double()
            m = 0.95 * m + g
            w = w * (1 - LR * DECAY) - LR * s * newton_schulz(g + 0.95 * m)
        emit(f"muon.{scale}.{name}", w)


def average():
    w = tensor((6, 10), 0)
    e = w.clone()
    for step in range(STEPS):
        w = w + 0.1 * tensor((6, 10), 100 + 10 * step)
        d = min(0.9, (2 + step) / (11 + step))
        e = d * e + (1 - d) * w
    emit("ema", e)


adamw()
muon("match")
muon("shape")
average()
