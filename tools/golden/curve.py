#!/usr/bin/env python3
"""The golden training curve: tests/golden/curve.txt, 200 losses of a small Qwen3-shaped model in plain
PyTorch (f32), from weights that the C test computes too.

Data: the bytes of LICENSE as tokens (256, in the order of GPT-2's byte alphabet), in order: step s, row b trains on window
s * 8 + b (modulo the number of windows) of 32 tokens; the last window is short. Optimiser: AdamW with a
cosine schedule, gradient clipped to norm 1.

    python tools/golden/curve.py > tests/golden/curve.txt
"""
import math
import pathlib
import sys

import torch
import torch.nn.functional as F

LAYERS, WIDTH, HEADS, KV_HEADS, HEAD_DIM, FFN, VOCAB = 2, 64, 4, 2, 16, 192, 256
CONTEXT, BATCH, STEPS, WARMUP = 32, 8, 200, 20
LR, FLOOR, DECAY, BETAS, EPS, CLIP = 1e-3, 0.1, 0.1, (0.9, 0.95), 1e-8, 1.0
THETA, NORM_EPS = 10000.0, 1e-6


def values(count, salt):
    """Uniform in [-1, 1) with 24 bits, exact in f32: the lowbias32 hash of index and salt."""
    x = (torch.arange(count, dtype=torch.int64) + 1000003 * salt) & 0xFFFFFFFF
    x = ((x ^ (x >> 16)) * 0x7FEB352D) & 0xFFFFFFFF
    x = ((x ^ (x >> 15)) * 0x846CA68B) & 0xFFFFFFFF
    x ^= x >> 16
    return ((x >> 8).double() / 2**23 - 1).float()


def names():
    """Parameters in the order in which the C model registers them, with their shapes."""
    yield "model.embed_tokens.weight", (VOCAB, WIDTH)
    for i in range(LAYERS):
        p = f"model.layers.{i}."
        yield p + "input_layernorm.weight", (WIDTH,)
        yield p + "self_attn.q_proj.weight", (HEADS * HEAD_DIM, WIDTH)
        yield p + "self_attn.k_proj.weight", (KV_HEADS * HEAD_DIM, WIDTH)
        yield p + "self_attn.v_proj.weight", (KV_HEADS * HEAD_DIM, WIDTH)
        yield p + "self_attn.q_norm.weight", (HEAD_DIM,)
        yield p + "self_attn.k_norm.weight", (HEAD_DIM,)
        yield p + "self_attn.o_proj.weight", (WIDTH, HEADS * HEAD_DIM)
        yield p + "post_attention_layernorm.weight", (WIDTH,)
        yield p + "mlp.gate_proj.weight", (FFN, WIDTH)
        yield p + "mlp.up_proj.weight", (FFN, WIDTH)
        yield p + "mlp.down_proj.weight", (WIDTH, FFN)
    yield "model.norm.weight", (WIDTH,)


def weights():
    """Matrices uniform in 0.05 [-1, 1), norms 1; the salt is the position in the list."""
    w = {}
    for k, (name, shape) in enumerate(names()):
        data = torch.ones(shape) if len(shape) == 1 else 0.05 * values(math.prod(shape), k).reshape(shape)
        w[name] = torch.nn.Parameter(data)
    return w


def rms(x, weight):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + NORM_EPS) * weight


def rope(x, cos, sin):  # x [B,H,T,D]; halves
    a, b = x.chunk(2, -1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)


def loss_of(w, tokens, targets):
    b, t = tokens.shape
    frequency = THETA ** (-torch.arange(0, HEAD_DIM, 2).double() / HEAD_DIM)
    angle = torch.arange(t).double()[:, None] * frequency
    cos, sin = angle.cos().float(), angle.sin().float()
    h = w["model.embed_tokens.weight"][tokens]
    for i in range(LAYERS):
        p = f"model.layers.{i}."
        x = rms(h, w[p + "input_layernorm.weight"])
        q = (x @ w[p + "self_attn.q_proj.weight"].T).view(b, t, HEADS, HEAD_DIM)
        k = (x @ w[p + "self_attn.k_proj.weight"].T).view(b, t, KV_HEADS, HEAD_DIM)
        v = (x @ w[p + "self_attn.v_proj.weight"].T).view(b, t, KV_HEADS, HEAD_DIM)
        q = rope(rms(q, w[p + "self_attn.q_norm.weight"]).transpose(1, 2), cos, sin)
        k = rope(rms(k, w[p + "self_attn.k_norm.weight"]).transpose(1, 2), cos, sin)
        k = k.repeat_interleave(HEADS // KV_HEADS, 1)
        v = v.transpose(1, 2).repeat_interleave(HEADS // KV_HEADS, 1)
        scores = q @ k.transpose(2, 3) / math.sqrt(HEAD_DIM)
        scores = scores + torch.full((t, t), -math.inf).triu(1)
        y = (scores.softmax(-1) @ v).transpose(1, 2).reshape(b, t, HEADS * HEAD_DIM)
        h = h + y @ w[p + "self_attn.o_proj.weight"].T
        x = rms(h, w[p + "post_attention_layernorm.weight"])
        x = F.silu(x @ w[p + "mlp.gate_proj.weight"].T) * (x @ w[p + "mlp.up_proj.weight"].T)
        h = h + x @ w[p + "mlp.down_proj.weight"].T
    logits = rms(h, w["model.norm.weight"]) @ w["model.embed_tokens.weight"].T
    return F.cross_entropy(logits.reshape(-1, VOCAB), targets.reshape(-1), ignore_index=-1)


def windows():
    text = (pathlib.Path(__file__).resolve().parents[2] / "LICENSE").read_bytes()
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    order = printable + [b for b in range(256) if b not in printable]
    ids = torch.tensor([order.index(b) for b in text])
    inputs, targets = ids[:-1], ids[1:]
    rows = []
    for at in range(0, len(inputs), CONTEXT):
        x = torch.zeros(CONTEXT, dtype=torch.int64)
        y = torch.full((CONTEXT,), -1)
        n = min(CONTEXT, len(inputs) - at)
        x[:n], y[:n] = inputs[at : at + n], targets[at : at + n]
        rows.append((x, y))
    return rows


def rate(step):
    if step < WARMUP:
        return LR * (step + 1) / WARMUP
    x = (step - WARMUP) / (STEPS - WARMUP)
    return LR * (FLOOR + (1 - FLOOR) * 0.5 * (1 + math.cos(math.pi * x)))


def main():
    w = weights()
    decay = [p for p in w.values() if p.ndim > 1]
    plain = [p for p in w.values() if p.ndim == 1]
    optimiser = torch.optim.AdamW(
        [{"params": decay, "weight_decay": DECAY}, {"params": plain, "weight_decay": 0.0}],
        lr=LR, betas=BETAS, eps=EPS)
    rows = windows()
    for step in range(STEPS):
        picked = [rows[(step * BATCH + b) % len(rows)] for b in range(BATCH)]
        loss = loss_of(w, torch.stack([p[0] for p in picked]), torch.stack([p[1] for p in picked]))
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(w.values(), CLIP)
        for group in optimiser.param_groups:
            group["lr"] = rate(step)
        optimiser.step()
        print(f"{loss.item():.6f}")


torch.manual_seed(0)
torch.set_num_threads(1)
sys.exit(main())
