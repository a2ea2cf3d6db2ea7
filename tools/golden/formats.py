"""Makes tests/golden/reference.safetensors and reference.gguf with the formats' own Python packages.

Run from the repository: python tools/golden/formats.py   (needs torch, safetensors, gguf, numpy)
"""
import pathlib

import gguf
import numpy as np
import torch
from safetensors.torch import save_file

HERE = pathlib.Path(__file__).resolve().parents[2] / "tests" / "golden"
RAMP = (torch.arange(6, dtype=torch.float64) / 4 - 1).reshape(2, 3)


def reference_safetensors():
    tensors = {
        "t.F64": RAMP,
        "t.F32": RAMP.float(),
        "t.F16": RAMP.half(),
        "t.BF16": RAMP.bfloat16(),
        "t.I64": torch.arange(3),
        "t.I32": torch.arange(3, dtype=torch.int32),
        "t.U8": torch.arange(5, dtype=torch.uint8),
        "t.BOOL": torch.tensor([True, False, True]),
        "scalar": torch.tensor(2.5),
        "empty": torch.zeros(0, 4),
    }
    save_file(tensors, HERE / "reference.safetensors", metadata={"format": "pt", "note": "马良"})


def reference_gguf():
    out = gguf.GGUFWriter(HERE / "reference.gguf", "qwen3")
    out.add_uint32("test.u32", 4000000000)
    out.add_int32("test.i32", -7)
    out.add_float32("test.f32", 0.25)
    out.add_bool("test.bool", True)
    out.add_string("test.string", "马良")
    out.add_uint64("test.u64", 1 << 40)
    out.add_int64("test.i64", -(1 << 40))
    out.add_float64("test.f64", 1e-300)
    out.add_int8("test.i8", -3)
    out.add_uint16("test.u16", 65535)
    out.add_array("test.strings", ["a", "", "神笔"])
    out.add_array("test.ints", [1, -2, 3])
    out.add_array("test.floats", [0.5, -1.5])
    out.add_tensor("f32", RAMP.float().numpy())
    out.add_tensor("f16", RAMP.half().numpy())
    out.add_tensor("bf16", RAMP.bfloat16().view(torch.uint16).numpy().view(np.uint8),
                   raw_dtype=gguf.GGMLQuantizationType.BF16)
    blocks = np.arange(2 * 2 * 34, dtype=np.uint8).reshape(2, 68)
    out.add_tensor("q8", blocks, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


if __name__ == "__main__":
    reference_safetensors()
    reference_gguf()
