#!/usr/bin/env python3
"""Golden numbers of the media ops (shape, reduction, convolution, enlarging), made with PyTorch in f32:
tests/golden/ops_media.bin. Each case has inputs, a projection "p", the output "out", and for each input the
gradient "d<input>" of sum(out * p).

    python tools/golden/ops_media.py
"""
import pathlib
import struct

import numpy as np
import torch
import torch.nn.functional as F

OUT = pathlib.Path(__file__).resolve().parents[2] / "tests" / "golden" / "ops_media.bin"
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
    inputs = {key: value.clone().requires_grad_() for key, value in inputs.items()}
    out = function(**inputs)
    p = torch.randn(out.shape)
    grads = torch.autograd.grad((out * p).sum(), list(inputs.values()))
    put(f"{name}.out", out)
    put(f"{name}.p", p)
    for (key, value), grad in zip(inputs.items(), grads):
        put(f"{name}.{key}", value)
        put(f"{name}.d{key}", grad)


def weights(*shape):
    """Scaled so that sums of products stay near 1."""
    return torch.randn(*shape) / np.sqrt(np.prod(shape[1:]))


def convolutions():
    x = torch.randn(2, 4, 7, 6)
    case("conv2d", {"x": x, "w": weights(5, 4, 3, 3), "b": torch.randn(5)},
         lambda x, w, b: F.conv2d(x, w, b, padding=1))
    case("conv2d_all", {"x": x, "w": weights(6, 2, 3, 2), "b": torch.randn(6)},
         lambda x, w, b: F.conv2d(x, w, b, stride=(2, 1), padding=(1, 2), dilation=(1, 2), groups=2))
    case("conv2d_depth", {"x": x, "w": weights(4, 1, 3, 3), "b": torch.randn(4)},
         lambda x, w, b: F.conv2d(x, w, b, stride=(1, 2), padding=1, groups=4))
    case("conv2d_one", {"x": x, "w": weights(3, 4, 1, 1), "b": torch.randn(3)},
         lambda x, w, b: F.conv2d(x, w, b))
    case("transposed", {"x": torch.randn(2, 4, 3, 4), "w": weights(4, 3, 4, 3), "b": torch.randn(6)},
         lambda x, w, b: F.conv_transpose2d(x, w, b, stride=(2, 3), padding=(1, 0), output_padding=(1, 2),
                                            groups=2, dilation=(1, 2)))
    case("conv1d", {"x": torch.randn(2, 3, 21), "w": weights(4, 3, 5), "b": torch.randn(4)},
         lambda x, w, b: F.conv1d(x, w, b, stride=2, padding=4, dilation=3))
    case("transposed1d", {"x": torch.randn(1, 3, 6), "w": weights(3, 2, 16), "b": torch.randn(2)},
         lambda x, w, b: F.conv_transpose1d(x, w, b, stride=8, padding=4))


def second_order():
    """The gradient in x of sum(conv2d(x, w) * u), as a function of w and u."""
    def function(x, w, u):
        y = F.conv2d(x, w, stride=2, padding=1)
        return torch.autograd.grad((y * u).sum(), x, create_graph=True)[0] + 0 * x

    case("second", {"x": torch.randn(2, 3, 5, 6), "w": weights(4, 3, 3, 3), "u": torch.randn(2, 4, 3, 3)}, function)


def shapes():
    x = torch.randn(2, 3, 5, 4)
    case("permute", {"x": x}, lambda x: x.permute(2, 0, 3, 1))
    case("concat", {"x": x, "y": torch.randn(2, 2, 5, 4)}, lambda x, y: torch.cat([x, y], 1))
    case("slice", {"x": x}, lambda x: x[:, :, 1:4])
    case("broadcast", {"x": torch.randn(3, 1, 4)}, lambda x: x.expand(2, 3, 5, 4))
    case("pad_zero", {"x": x}, lambda x: F.pad(x, (0, 0, 2, 1)))
    case("pad_reflect", {"x": x}, lambda x: F.pad(x, (0, 0, 2, 4), mode="reflect"))
    case("pad_replicate", {"x": x}, lambda x: F.pad(x, (0, 0, 3, 2), mode="replicate"))


def reductions():
    x = torch.randn(3, 4, 5, 2)
    case("sum", {"x": x}, lambda x: x.sum((0, 2), keepdim=True))
    case("mean", {"x": x}, lambda x: x.mean((1, 3), keepdim=True))
    case("max", {"x": (2 * x).round()}, lambda x: x.amax((1, 2), keepdim=True))  # with ties


def pictures():
    x = torch.randn(2, 2, 4, 3)
    case("nearest", {"x": x}, lambda x: F.interpolate(x, scale_factor=(2, 3), mode="nearest"))
    case("bilinear", {"x": x},
         lambda x: F.interpolate(x, scale_factor=(3, 2), mode="bilinear", align_corners=False))


if __name__ == "__main__":
    torch.manual_seed(20240527)
    torch.set_num_threads(1)
    convolutions()
    second_order()
    shapes()
    reductions()
    pictures()
    save()
    print(f"{OUT}: {OUT.stat().st_size} bytes, {len(ENTRIES)} tensors")
