"""Holds an exported model in llama.cpp against the same weights in transformers.

    python bench/gguf_llamacpp.py FOLDER [GGUF] [--prompts N] [--tokens N]

FOLDER has config.json and model.safetensors, and GGUF (default FOLDER/model.gguf) is its export.
Feeds the same random token ids to both, lets both continue greedily and prints on how many prompts
all tokens agree, and the largest difference of log-probabilities along the way. Where the two best
tokens are nearer than --tie (1e-3) they may fall either way; that is counted apart. llama.cpp
multiplies bf16 weights with activations rounded to bf16, so an export in bf16 wants --tie 0.2.
It also prints whether llama.cpp tokenizes a few lines of text and gives them back as they were.

Random weights for it: build/tests/format/test_gguf_qwen3 --write FOLDER [untied|bf16]
Needs torch, transformers, gguf, xllamacpp.
"""
import argparse
import json
import pathlib
import random
import sys
import urllib.request

import gguf
import torch
import transformers
import xllamacpp

LINES = ["the thing and the king\n", "  two  spaces\tand 马良神笔 😀", "don't stop: 12345!"]


def start(path, threads):
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.n_ctx = 256
    params.n_parallel = 1
    params.cpuparams.n_threads = threads
    params.warmup = False
    params.cache_type_k = xllamacpp.ggml_type.GGML_TYPE_F32
    params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
    params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    params.verbosity = 0
    return xllamacpp.Server(params)


def ask(server, path, body):
    request = urllib.request.Request(server.listening_address + path, json.dumps(body).encode(),
                                     {"Content-Type": "application/json"})
    return json.loads(urllib.request.urlopen(request).read())


def complete(server, prompt, tokens):
    """The greedy continuation, and the log-probabilities of the best ten for the next token (None
    when llama.cpp holds them back because the token is a part of a character)."""
    answer = ask(server, "/completion",
                 {"prompt": prompt, "n_predict": tokens, "temperature": 0.0, "n_probs": 10,
                  "return_tokens": True, "cache_prompt": False})
    steps = answer.get("completion_probabilities")
    best = {t["id"]: t["logprob"] for t in steps[0]["top_logprobs"]} if steps else None
    return answer["tokens"], best


def compare(server, model, prompts, tokens, tie):
    """Prompts on which all tokens agree, those that part at a tie, steps with probabilities, and
    their largest difference."""
    same = ties = checked = 0
    worst = 0.0
    for prompt in prompts:
        theirs, _ = complete(server, prompt, tokens)
        ids, agreed, tied = list(prompt), True, False
        for token in theirs:
            with torch.no_grad():
                logits = model(torch.tensor([ids])).logits[0, -1].double()
            ours = torch.log_softmax(logits, 0)
            _, step = complete(server, ids, 1)
            if step:
                worst = max([worst] + [abs(ours[i].item() - p) for i, p in step.items()])
                checked += 1
            best = int(ours.argmax())
            if best != token:
                tied = bool(ours[best] - ours[token] < tie)
                agreed = False
                break
            ids.append(token)
        same += agreed
        ties += tied
    return same, ties, checked, worst


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("gguf", type=pathlib.Path, nargs="?")
    parser.add_argument("--prompts", type=int, default=20)
    parser.add_argument("--tokens", type=int, default=24)
    parser.add_argument("--tie", type=float, default=1e-3)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    path = options.gguf or options.folder / "model.gguf"

    reader = gguf.GGUFReader(path)
    print(f"gguf {path.name}: {len(reader.fields)} fields, {len(reader.tensors)} tensors, "
          f"architecture {reader.fields['general.architecture'].contents()}")
    model = transformers.AutoModelForCausalLM.from_pretrained(options.folder, dtype=torch.float32)
    model.eval()
    print(f"transformers {transformers.__version__}: {type(model).__name__}, "
          f"{sum(p.numel() for p in model.parameters())} parameters")
    server = start(path, options.threads)

    chance = random.Random(1)
    vocab = model.config.vocab_size
    prompts = [[chance.randrange(vocab) for _ in range(chance.randint(1, 40))]
               for _ in range(options.prompts)]
    same, ties, steps, worst = compare(server, model, prompts, options.tokens, options.tie)
    print(f"greedy tokens equal on {same} of {len(prompts)} prompts ({ties} more part at a tie), "
          f"largest difference of log-probabilities {worst:.2e} in {steps} steps, seed 1")
    good = sum(ask(server, "/detokenize", {"tokens": ask(server, "/tokenize", {"content": line})[
        "tokens"]})["content"] == line for line in LINES)
    print(f"tokenizer: {good} of {len(LINES)} lines read back as they were")
    sys.exit(0 if same + ties >= 0.95 * len(prompts) and good == len(LINES) else 1)


if __name__ == "__main__":
    main()
