"""What a detection refuses before it answers anything."""

import math

import pytest

from rh_lens.detection import detect_retrieval_heads

BAD = {
    "threshold": (math.nan, math.inf, -1.0, 2.0),
    "min_recall": (math.nan, math.inf, -1.5, 1.5),
    "max_new_tokens": (0, -5),
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in BAD.items() for value in values]
)
def test_a_bad_choice_is_refused_before_anything_is_read(llama, otter_prompt, name, value):
    def refuse_to_run(z, hook):
        raise AssertionError("a prompt was read")

    choices = {"progress": False, name: value}
    with (
        llama.hooks(fwd_hooks=[("blocks.0.attn.hook_z", refuse_to_run)]),
        pytest.raises(ValueError, match=r"^Expected") as refused,
    ):
        detect_retrieval_heads(llama, [otter_prompt], **choices)
    text = str(refused.value)
    assert text.startswith(f"Expected {name} to be ")
    assert "; found " in text
    assert len(text) < 400
