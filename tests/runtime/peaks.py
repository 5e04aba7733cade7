"""Peaks of detections in a process of its own: python peaks.py MODEL LENGTH [one|packed ...].

MODEL is bundled, refused or accepted: a random Llama of 27M parameters whose drafts are. Prints a
JSON list, an entry for each kind of prompts: bytes measured above the loaded model, and estimated.
"""

import json
import sys

import torch

from rh_lens.bench import measure
from rh_lens.bench.models import ERRATIC, REPETITIVE, SMALL, bundled, random_llama
from rh_lens.detection import detect_retrieval_heads
from rh_lens.prompts import build_grid, build_packed_grid, default_needles, synthetic_haystack
from rh_lens.runtime import StopRule, estimate_run

CPU, N_NEW_TOKENS = torch.device("cpu"), 30


def bench_of(name):
    if name == "bundled":
        return bundled(CPU)
    return random_llama(SMALL, CPU, spread=ERRATIC if name == "refused" else REPETITIVE)


def prompts_of(tokenizer, kind, length):
    """Two prompts of one needle, or one turn of twelve."""
    text, needles = synthetic_haystack(), default_needles()
    if kind == "one":
        shape = {"context_lengths": [length], "depths": 2, "allow_repeat": True}
        return build_grid(tokenizer, text, needles[:1], **shape)
    grid = build_packed_grid(tokenizer, text, needles, context_lengths=[length], allow_repeat=True)
    return [prompt for prompt in grid if prompt.turn == 0]


def peaks(name, length, kinds):
    model = bench_of(name).bridge
    stop = StopRule(frozenset())

    def detect(prompts):
        options = {"max_new_tokens": N_NEW_TOKENS, "stop": stop, "min_recall": -1.0}
        return detect_retrieval_heads(model, prompts, progress=False, **options)

    detect(prompts_of(model.tokenizer, "one", 64))
    for kind in kinds:
        prompts = prompts_of(model.tokenizer, kind, length)
        found = measure(lambda prompts=prompts: detect(prompts), CPU)
        estimate = estimate_run(model, prompts, max_new_tokens=N_NEW_TOKENS)
        yield [name, kind, length, round(found.megabytes * 1e6), estimate.bytes]


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(json.dumps(list(peaks(sys.argv[1], int(sys.argv[2]), sys.argv[3:] or ["one", "packed"]))))
