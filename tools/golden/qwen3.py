"""A tiny Qwen3 of transformers with random weights, its logits and its greedy continuation:
tests/golden/qwen3/ for tests/generate/test_text_writer.c.

    pip install torch transformers tokenizers
    python tools/golden/qwen3.py
"""

import json
import pathlib

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import Qwen3Config, Qwen3ForCausalLM

OUT = pathlib.Path(__file__).parents[2] / "tests/golden/qwen3"
PROMPT = list("Maliang 马良 paints.".encode())


def main():
    torch.manual_seed(7)
    config = Qwen3Config(
        vocab_size=258, hidden_size=32, intermediate_size=56, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, head_dim=12, max_position_embeddings=128,
        rope_theta=1e6, rms_norm_eps=1e-6, tie_word_embeddings=True, attention_bias=False,
        bos_token_id=None, eos_token_id=257)
    model = Qwen3ForCausalLM(config).eval().float()
    with torch.no_grad():
        for name, p in model.named_parameters():
            p.normal_(1.0 if "norm" in name else 0.0, 0.25)
    model.save_pretrained(OUT, safe_serialization=True)

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    # ids are byte values: undo GPT-2's table of printable characters
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    table, extra = {}, 0
    for byte in range(256):
        if byte in printable:
            table[chr(byte)] = byte
        else:
            table[chr(256 + extra)] = byte
            extra += 1
    assert sorted(table) == alphabet
    table["<|unused|>"], table["<|end|>"] = 256, 257
    tokenizer = Tokenizer(models.BPE(vocab=table, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|unused|>", "<|end|>"])
    tokenizer.save(str(OUT / "tokenizer.json"))

    ids = torch.tensor([PROMPT])
    with torch.no_grad():
        logits = model(ids).logits[0]
        greedy = model.generate(ids, max_new_tokens=40, do_sample=False, pad_token_id=0)[0]
    top = torch.topk(logits, 2, dim=-1).values
    print("smallest margin in the prompt", float((top[:, 0] - top[:, 1]).min()))
    lines = [" ".join(str(i) for i in greedy[len(PROMPT):].tolist())]
    lines += [" ".join(f"{v:.7g}" for v in row) for row in logits.tolist()]
    (OUT / "expected.txt").write_text("\n".join(lines) + "\n")
    for extra_file in ("generation_config.json",):
        (OUT / extra_file).unlink(missing_ok=True)
    print(json.dumps({"prompt": len(PROMPT), "greedy": lines[0][:60]}))


main()
