"""Reads an event file with TensorBoard's own reader and prints what each tag holds.

    python bench/read_tensorboard.py FOLDER        (needs tensorboard)

A file to read: build/tests/train/test_tensorboard --write FOLDER, which is stopped at step 99 and
resumed at step 80; TensorBoard must show steps 0..179, those from 80 on of the second session.
"""
import sys

from tensorboard.backend.event_processing import event_accumulator

accumulator = event_accumulator.EventAccumulator(sys.argv[1], size_guidance={"scalars": 0})
accumulator.Reload()
for tag in accumulator.Tags()["scalars"]:
    events = accumulator.Scalars(tag)
    steps = [e.step for e in events]
    print(f"{tag}: {len(events)} values, steps {steps[0]}..{steps[-1]}, "
          f"{'in order' if steps == sorted(set(steps)) else 'NOT in order'}, "
          f"first {events[0].value:.6g}, last {events[-1].value:.6g}")
