"""Prompts as token ids or text; what the model can not read is refused before anything runs."""

import pytest
import torch
from planted import make_prompt

from rh_lens.detection import detect_retrieval_heads
from rh_lens.runtime import Execution, greedy_decode, stop_rule
from rh_lens.runtime.tokens import as_tokens


def test_a_prompt_may_be_given_in_four_ways(llama):
    text = "The secret word is"
    batch = llama.to_tokens(text)
    stop = stop_rule(llama.tokenizer)
    answers = [
        greedy_decode(llama, prompt, max_new_tokens=4, stop=stop).tokens.tolist()
        for prompt in (text, batch, batch[0], batch[0].tolist())
    ]
    assert len(answers[0]) == 4
    assert answers == [answers[0]] * 4


@pytest.mark.parametrize(
    ("prompt", "error", "message"),
    [
        (torch.zeros(2, 5, dtype=torch.long), ValueError, r"one prompt.*found \[2, 5\]"),
        (torch.rand(5), TypeError, "whole numbers; found float32 values"),
        ([1.5], TypeError, "whole numbers; found float32 values"),
        (torch.tensor([True]), TypeError, "whole numbers; found bool values"),
        (None, TypeError, r"token ids or as text; found None \(NoneType\)"),
        ([["a"]], TypeError, "token ids or as text"),
        ([5, 320], ValueError, "from 0 to 319, the model's vocabulary; found 320.*own tokenizer"),
        ([-1, 5], ValueError, "found -1"),
    ],
)
def test_other_prompts_are_refused(llama, prompt, error, message):
    with pytest.raises(error, match=message):
        as_tokens(llama, prompt)


def test_detection_refuses_other_tokenizers_and_prompts_beyond_the_window_at_once(llama):
    def refuse_to_run(pattern, hook):
        raise AssertionError("a prompt was read")

    good = make_prompt(list(range(5, 35)), (12, 15))
    foreign = make_prompt([*range(5, 34), 5000], (12, 15))
    n_ctx, pairs = llama.cfg.n_ctx, Execution(batch_size=2)
    too_long = make_prompt([5] * n_ctx, (12, 15))
    with llama.hooks(fwd_hooks=[("blocks.0.attn.hook_z", refuse_to_run)]):
        with pytest.raises(ValueError, match="found 5000"):
            detect_retrieval_heads(llama, [good, foreign], progress=False)
        with pytest.raises(ValueError, match=rf"window of {n_ctx} tokens; found {n_ctx} \+ 32"):
            detect_retrieval_heads(llama, [good, too_long], progress=False)
        with pytest.raises(ValueError, match="found 5000"):
            detect_retrieval_heads(llama, [good, foreign], execution=pairs, progress=False)
