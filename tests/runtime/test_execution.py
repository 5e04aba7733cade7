"""How a run goes through the model is one object, checked when it is made."""

from collections.abc import Iterator

import jaxtyping
import pytest

from rh_lens.detection import MemoryLog, detect_retrieval_heads
from rh_lens.evaluation import needle_recall
from rh_lens.runtime import Execution

BAD = {
    "prefill": ("flash", 3, None),
    "chunk": (0, -1, 2.5, True),
    "share_prefixes": (None, "no", 1.0),
    "speculate": (None, "no", 1.0),
    "batch_size": (0, -1, None, 1.5),
    "unit": (0, -3, "all"),
}


@pytest.fixture(autouse=True)
def unchecked() -> Iterator[None]:
    """Nothing but the project itself checks types."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in BAD.items() for value in values]
)
def test_a_choice_that_is_none_is_refused_at_once(name, value):
    right_type = isinstance(value, str) == (name == "prefill") and type(value) in (str, int)
    kind = ValueError if right_type else TypeError
    with pytest.raises(kind, match=rf"^Expected {name} to be .*; found .*\. [A-Z]"):
        Execution(**{name: value})


def test_an_execution_is_compared_and_shown_by_its_fields():
    assert Execution(chunk=512) == Execution(chunk=512) != Execution()
    assert "chunk=512" in repr(Execution(chunk=512))


def test_its_fields_given_to_the_detection_are_sent_to_it(llama, otter_prompt):
    with pytest.raises(ValueError, match=r"found 'batch_size'\. Pass execution=Execution\(batch_"):
        detect_retrieval_heads(llama, [otter_prompt], batch_size=4)
    with pytest.raises(ValueError, match=r"found 'treshold'\. Did you mean 'threshold'\?"):
        detect_retrieval_heads(llama, [otter_prompt], treshold=0.2)


def test_what_is_no_execution_or_no_log_is_refused(llama, otter_prompt):
    with pytest.raises(TypeError, match="Expected execution to be an Execution; found 'sdpa'"):
        detect_retrieval_heads(llama, [otter_prompt], execution="sdpa")
    with pytest.raises(TypeError, match="Expected execution to be an Execution; found None"):
        needle_recall(llama, [otter_prompt], execution=None)
    with pytest.raises(TypeError, match=r"Expected log to be a TrialLog; found .* MemoryLog"):
        detect_retrieval_heads(llama, [otter_prompt], log={})


def test_passes_are_as_long_as_asked_for(llama, otter_prompt):
    """149 tokens before the last in passes of 40."""
    lengths = []

    def note(embedding, hook):
        lengths.append(embedding.shape[1])

    options = {"score": "attention-mass", "min_recall": -1.0, "max_new_tokens": 1}
    for prefill in ("chunked", "sdpa"):
        with llama.hooks(fwd_hooks=[("hook_embed", note)]):
            execution = Execution(prefill=prefill, chunk=40)
            detect_retrieval_heads(
                llama, [otter_prompt], execution=execution, log=MemoryLog([0]), **options
            )
        assert lengths[-5:] == [40, 40, 40, 29, 1]
