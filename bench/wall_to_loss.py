#!/usr/bin/env python3
"""Wall time to the held-out loss that nanoGPT's recipe reaches in PyTorch (10.7M, characters of
tinyshakespeare), on the same cores.

    python bench/wall_to_loss.py tinyshakespeare.txt

Maliang's side is run whole: recipes/shakespeare-10m.yaml from start to end, with its measurements of
the loss; its time is the time of the process. PyTorch's side would take hours on a processor: its
tokens to its best loss come from bench/loss_torch.py (run to the end on a GPU, 28.67M tokens to
1.4675; another run's: --tokens, --loss), its speed is measured here, with the same model, batch and
optimiser, before and after Maliang's run, in f32 and bf16, eager and compiled; the best counts. So
PyTorch's time is tokens / speed, without the time in which it measures the loss.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BATCH = 64


def measure(how, precision, seconds, threads):
    """Tokens a second of nanoGPT's training step at best."""
    import torch
    sys.path.insert(0, os.path.join(ROOT, "bench"))
    import loss_torch
    torch.manual_seed(1)
    torch.set_num_threads(threads)
    model = loss_torch.Model(65)
    groups = [dict(params=[p for p in model.parameters() if p.dim() > 1], weight_decay=0.1),
              dict(params=[p for p in model.parameters() if p.dim() <= 1], weight_decay=0.0)]
    optimizer = torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.99), fused=True)
    run = torch.compile(model) if how == "compile" else model
    best, begin, steps = 0.0, None, 0
    while steps < 4 or time.perf_counter() - begin < seconds:
        text = torch.randint(65, (2, BATCH, loss_torch.CONTEXT))
        start = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            loss = run(text[0], text[1])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if steps > 0:  # the first one compiles
            best = max(best, BATCH * loss_torch.CONTEXT / (time.perf_counter() - start))
        begin = begin or time.perf_counter()
        steps += 1
    print(json.dumps(best))


def torch_speed(options, found):
    for precision in ("f32", "bf16") if "bf16" in open("/proc/cpuinfo").read() else ("f32",):
        for how in ("eager", "compile"):
            command = [sys.executable, os.path.abspath(__file__), "--child", how, precision,
                       "--seconds", str(options.seconds), "--threads", str(options.threads), "-"]
            try:
                out = subprocess.run(command, capture_output=True, text=True, check=True,
                                     timeout=options.patience).stdout
            except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
                print(f"PyTorch {precision} {how}: left out ({type(error).__name__})", flush=True)
                continue
            speed = json.loads(out.strip().splitlines()[-1])
            found[precision, how] = max(speed, found.get((precision, how), 0))
            print(f"PyTorch {precision} {how}: {speed:.0f} tokens/s", flush=True)


def maliang_run(options, folder):
    common = ["--workspace", os.path.join(folder, "w"), "--quiet"]
    subprocess.run([options.maliang, "collect", "--dataset", "shakespeare", options.text] + common,
                   check=True, stdout=subprocess.DEVNULL)
    begin = time.perf_counter()
    out = subprocess.run([options.maliang, "train", os.path.join(ROOT, "recipes/shakespeare-10m.yaml"),
                          "--json", "--threads", str(options.threads), "--set",
                          f"train.seed={options.seed}"] + common,
                         check=True, capture_output=True, text=True).stdout
    return time.perf_counter() - begin, json.loads(out)


def main():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("text", help="tinyshakespeare.txt")
    p.add_argument("--maliang", default=os.path.join(ROOT, "build", "cli", "maliang"))
    p.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    p.add_argument("--seconds", type=float, default=20, help="of each measurement of PyTorch")
    p.add_argument("--patience", type=float, default=300, help="seconds for one of them in all")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--tokens", type=float, default=28.67e6, help="of PyTorch, to its best loss")
    p.add_argument("--loss", type=float, default=1.4675, help="which is this")
    p.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = p.parse_args()
    if options.child:
        measure(*options.child, options.seconds, options.threads)
        return
    found = {}
    torch_speed(options, found)
    with tempfile.TemporaryDirectory(prefix="wall-to-loss-") as folder:
        seconds, result = maliang_run(options, folder)
    print(f"Maliang: held-out loss {result['validation_loss']:.4f} after {result['tokens'] / 1e6:.2f}M "
          f"tokens, {seconds:.0f} s (seed {options.seed})", flush=True)
    torch_speed(options, found)
    best = max(found, key=found.get)
    other = options.tokens / found[best]
    reached = result["validation_loss"] <= options.loss
    print(f"PyTorch: loss {options.loss} after {options.tokens / 1e6:.2f}M tokens, at {found[best]:.0f} "
          f"tokens/s ({best[0]}, {best[1]}) {other:.0f} s")
    print(f"Maliang {'reaches it' if reached else 'DOES NOT REACH IT'}: {other / seconds:.2f} times "
          f"faster, {options.threads} threads, n=1")


if __name__ == "__main__":
    main()
