#!/usr/bin/env python3
"""The held-out loss that nanoGPT's recipe reaches in PyTorch, step by step: the mark that Maliang's
recipe is timed to.

    python bench/loss_torch.py tinyshakespeare.txt --device cuda --json reference.json

The model and the recipe of nanoGPT's character example, written here in plain PyTorch: a GPT-2 of 6
layers, 384 wide, 6 heads, context 256, dropout 0.2, no biases; batch 64, AdamW with betas 0.9 and
0.99, weight decay 0.1 on matrices, learning rate 0.001 after 100 steps of warm-up, by a cosine to
0.0001 at step 5,000; gradients clipped at 1. The last tenth of the text is held out. The loss is
measured on all of it in windows of 256, in nats a character. nanoGPT reports 1.4697 as its best.
Training stops when the loss has not fallen for some measurements.
"""
import argparse
import json
import math
import time

import torch
from torch import nn
from torch.nn import functional as F

LAYERS, WIDTH, HEADS, CONTEXT, DROPOUT = 6, 384, 6, 256, 0.2


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1, self.norm2 = (nn.LayerNorm(WIDTH, bias=False) for _ in range(2))
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH, bias=False)
        self.o = nn.Linear(WIDTH, WIDTH, bias=False)
        self.up = nn.Linear(WIDTH, 4 * WIDTH, bias=False)
        self.down = nn.Linear(4 * WIDTH, WIDTH, bias=False)

    def forward(self, h):
        B, T, _ = h.shape
        q, k, v = (x.view(B, T, HEADS, WIDTH // HEADS).transpose(1, 2)
                   for x in self.qkv(self.norm1(h)).split(WIDTH, dim=2))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True,
                                           dropout_p=DROPOUT if self.training else 0.0)
        y = self.o(y.transpose(1, 2).reshape(B, T, WIDTH))
        h = h + F.dropout(y, DROPOUT, self.training)
        return h + F.dropout(self.down(F.gelu(self.up(self.norm2(h)))), DROPOUT, self.training)


class Model(nn.Module):
    def __init__(self, vocab):
        super().__init__()
        self.tokens, self.positions = nn.Embedding(vocab, WIDTH), nn.Embedding(CONTEXT, WIDTH)
        self.blocks = nn.ModuleList(Block() for _ in range(LAYERS))
        self.norm = nn.LayerNorm(WIDTH, bias=False)
        self.head = nn.Linear(WIDTH, vocab, bias=False)
        for name, p in self.named_parameters():
            if p.dim() > 1:
                late = name.endswith(("o.weight", "down.weight"))
                nn.init.normal_(p, std=0.02 / math.sqrt(2 * LAYERS) if late else 0.02)
        self.tokens.weight = self.head.weight

    def forward(self, x, y):
        h = self.tokens(x) + self.positions.weight[:x.shape[1]]
        h = F.dropout(h, DROPOUT, self.training)
        for block in self.blocks:
            h = block(h)
        return F.cross_entropy(self.head(self.norm(h)).flatten(0, 1).float(), y.flatten())


def rate(step, steps):
    if step < 100:
        return 1e-3 * (step + 1) / 101
    return 1e-4 + 0.5 * (1 + math.cos(math.pi * (step - 100) / (steps - 100))) * 9e-4


@torch.no_grad()
def held_out(model, text, cast):
    model.eval()
    total = count = 0
    starts = list(range(0, len(text) - 1, CONTEXT))
    full = [s for s in starts if s + CONTEXT < len(text)]
    groups = [full[i:i + 64] for i in range(0, len(full), 64)]
    groups += [[s] for s in starts if s + CONTEXT >= len(text)]
    for group in groups:
        x = torch.stack([text[s:s + CONTEXT + 1] for s in group])
        with cast():
            loss = model(x[:, :-1], x[:, 1:])
        total += loss.item() * x[:, 1:].numel()
        count += x[:, 1:].numel()
    model.train()
    return total / count


def main():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("text")
    p.add_argument("--device", default="cpu")
    p.add_argument("--steps", type=int, default=5000)
    p.add_argument("--stop-after", type=int, help="end here; the schedule stays that of --steps")
    p.add_argument("--batch", type=int, default=64)
    p.add_argument("--every", type=int, default=250, help="steps between measurements")
    p.add_argument("--patience", type=int, default=4)
    p.add_argument("--seed", type=int, default=1337)
    p.add_argument("--json", metavar="FILE")
    o = p.parse_args()
    torch.manual_seed(o.seed)
    with open(o.text, encoding="utf-8") as f:
        letters = f.read()
    known = {c: i for i, c in enumerate(sorted(set(letters)))}
    ids = torch.tensor([known[c] for c in letters], device=o.device)
    cut = int(0.9 * len(ids))
    train, test = ids[:cut], ids[cut:]
    model = Model(len(known)).to(o.device)
    groups = [dict(params=[q for q in model.parameters() if q.dim() > 1], weight_decay=0.1),
              dict(params=[q for q in model.parameters() if q.dim() <= 1], weight_decay=0.0)]
    optimizer = torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.99))

    def cast():
        return torch.autocast(o.device, torch.bfloat16, enabled=o.device == "cuda")

    span = torch.arange(CONTEXT + 1, device=o.device)
    rows, best, since, start = [], None, 0, time.time()
    for step in range((o.stop_after or o.steps) + 1):
        if step % o.every == 0:
            loss = held_out(model, test, cast)
            rows.append({"step": step, "tokens": step * o.batch * CONTEXT, "loss": loss,
                         "seconds": time.time() - start})
            print(f"step {step:5}  {rows[-1]['tokens'] / 1e6:6.2f}M tokens  held-out {loss:.4f}  "
                  f"{rows[-1]['seconds']:.0f} s", flush=True)
            if best is None or loss < best["loss"]:
                best, since = rows[-1], 0
            else:
                since += 1
            if since >= o.patience:
                break
        for group in optimizer.param_groups:
            group["lr"] = rate(step, o.steps)
        at = torch.randint(len(train) - CONTEXT, (o.batch, 1), device=o.device) + span
        x = train[at]
        with cast():
            loss = model(x[:, :-1], x[:, 1:])
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    print(f"best {best['loss']:.4f} at step {best['step']}, {best['tokens'] / 1e6:.2f}M tokens")
    if o.json:
        with open(o.json, "w") as f:
            json.dump({"rows": rows, "best": best}, f, indent=1)


if __name__ == "__main__":
    main()
