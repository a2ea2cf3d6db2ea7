#!/usr/bin/env python3
"""Golden numbers of the text ops (norms, softmax, attention, tokens, losses), made with PyTorch in f32:
tests/golden/ops_text.bin. Each case has inputs, a projection "p", the output "out", and for each float input
the gradient "d<input>" of sum(out * p). Integers are stored as floats.

    python tools/golden/ops_text.py
"""
import pathlib
import struct

import torch
import torch.nn.functional as F
from transformers.models.qwen3.modeling_qwen3 import apply_rotary_pos_emb

OUT = pathlib.Path(__file__).resolve().parents[2] / "tests" / "golden" / "ops_text.bin"
ENTRIES = {}


def put(name, tensor):
    ENTRIES[name] = tensor.detach().float().contiguous().numpy()


def save():
    """The format that tests/tensor/golden.h describes."""
    with open(OUT, "wb") as file:
        file.write(b"MLGOLD01" + struct.pack("<I", len(ENTRIES)))
        for name, array in ENTRIES.items():
            raw = name.encode()
            file.write(struct.pack("<I", len(raw)) + raw + struct.pack("<I", array.ndim))
            file.write(struct.pack(f"<{array.ndim}q", *array.shape))
            file.write(array.astype("<f4").tobytes())


def case(name, inputs, function):
    inputs = {key: value.clone().requires_grad_(value.is_floating_point()) for key, value in inputs.items()}
    out = function(**inputs).reshape(-1) if name.startswith(("cross_entropy", "mse")) else function(**inputs)
    p = torch.randn(out.shape)
    floats = {key: value for key, value in inputs.items() if value.is_floating_point()}
    grads = torch.autograd.grad((out * p).sum(), list(floats.values()))
    put(f"{name}.out", out)
    put(f"{name}.p", p)
    for key, value in inputs.items():
        put(f"{name}.{key}", value)
    for key, grad in zip(floats, grads):
        put(f"{name}.d{key}", grad)


def norms():
    x = torch.randn(3, 5, 12)
    w, b = 1 + 0.3 * torch.randn(12), torch.randn(12)
    case("rmsnorm", {"x": x, "w": w}, lambda x, w: F.rms_norm(x, (12,), w, eps=1e-5))
    case("layernorm", {"x": x, "w": w, "b": b}, lambda x, w, b: F.layer_norm(x, (12,), w, b, eps=1e-5))
    case("groupnorm", {"x": torch.randn(2, 6, 3, 4), "w": w[:6], "b": b[:6]},
         lambda x, w, b: F.group_norm(x, 3, w, b, eps=1e-5))
    case("softmax", {"x": 2 * torch.randn(4, 9)}, lambda x: F.softmax(0.5 * x, -1))


def attend(q, k, v, mask):
    """[B,T,H,D] in and out, as ours."""
    out = F.scaled_dot_product_attention(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2),
                                         attn_mask=mask, enable_gqa=True)
    return out.transpose(1, 2)


def attention():
    qkv = {"q": torch.randn(2, 6, 4, 8), "k": torch.randn(2, 6, 2, 8), "v": torch.randn(2, 6, 2, 8)}
    causal = torch.ones(6, 6, dtype=torch.bool).tril()
    case("attention", qkv, lambda q, k, v: attend(q, k, v, torch.ones(6, 6, dtype=torch.bool)))
    case("attention_causal", qkv, lambda q, k, v: attend(q, k, v, causal))
    segments = torch.tensor([[0, 0, 0, 1, 1, 2], [0, 1, 1, 1, 1, 1]])
    same = (segments[:, None, :, None] == segments[:, None, None, :])
    case("attention_segments", {**qkv, "segments": segments},
         lambda q, k, v, segments: attend(q, k, v, causal & same))
    length = torch.tensor([4, 6])
    inside = (torch.arange(6)[None, :] < length[:, None])[:, None, None, :]
    case("attention_length", {**qkv, "length": length},
         lambda q, k, v, length: attend(q, k, v, inside.expand(2, 1, 6, 6)))
    late = {"q": torch.randn(1, 3, 2, 8), "k": torch.randn(1, 9, 1, 8), "v": torch.randn(1, 9, 1, 8)}
    case("attention_cached", late,
         lambda q, k, v: attend(q, k, v, torch.ones(3, 9, dtype=torch.bool).tril(6)))


def angles(at, pairs, theta):
    """[B,T] positions -> [B,T,pairs]."""
    return at.double()[..., None] * theta ** (-torch.arange(pairs).double() / pairs)


def neox(x, angle):
    angle = torch.cat([angle, angle], -1)
    return apply_rotary_pos_emb(x, x, angle.cos().float(), angle.sin().float(), unsqueeze_dim=2)[0]


def interleaved(x, angle):
    """As Meta's Llama: pairs as complex numbers."""
    turn = torch.polar(torch.ones_like(angle), angle).to(torch.complex64)[:, :, None]
    return torch.view_as_real(torch.view_as_complex(x.reshape(*x.shape[:-1], -1, 2)) * turn).flatten(3)


def tokens():
    case("embedding", {"ids": torch.tensor([[1, 4, 1], [0, 6, 4]]), "table": torch.randn(7, 5)},
         lambda ids, table: F.embedding(ids, table))
    x, at = torch.randn(2, 3, 2, 8), torch.tensor([[0, 1, 2], [5, 1000, 70000]])
    case("rope", {"x": x, "at": at}, lambda x, at: neox(x, angles(at, 4, 1e6)))
    case("rope_interleaved", {"x": x, "at": at}, lambda x, at: interleaved(x, angles(at, 4, 10000.0)))
    case("rope_partial", {"x": x, "at": at},
         lambda x, at: torch.cat([neox(x[..., :4], angles(at, 2, 10000.0)), x[..., 4:]], -1))
    grid = torch.tensor([[[0, 0], [0, 3], [2, 1]], [[7, 5], [30, 2], [1, 1]]])
    case("rope_2d", {"x": x, "at": grid},
         lambda x, at: interleaved(x, torch.cat([angles(at[..., 0], 2, 100.0), angles(at[..., 1], 2, 100.0)], -1)))


def losses():
    h, w = torch.randn(2, 5, 6), 0.5 * torch.randn(11, 6)
    targets = torch.tensor([[3, 0, -100, 10, 7], [-100, -100, 1, 1, 9]])

    def loss(smoothing):
        return lambda h, w, targets: F.cross_entropy((h @ w.T).flatten(0, 1), targets.flatten(), ignore_index=-100,
                                                     label_smoothing=smoothing)

    case("cross_entropy", {"h": h, "w": w, "targets": targets}, loss(0.0))
    case("cross_entropy_smooth", {"h": h, "w": w, "targets": targets}, loss(0.1))
    case("mse", {"a": torch.randn(4, 7), "b": torch.randn(4, 7)}, lambda a, b: F.mse_loss(a, b))


if __name__ == "__main__":
    torch.manual_seed(20)
    norms()
    attention()
    tokens()
    losses()
    save()
    print(f"{OUT.name}: {len(ENTRIES)} entries, {OUT.stat().st_size} bytes")
