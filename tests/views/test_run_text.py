import pytest
from planted import PlantedModel

from rh_lens.detection import detect_retrieval_heads
from rh_lens.views import summarise


@pytest.fixture
def result(llama, otter_prompt):
    start = otter_prompt.answer_span[0]
    looks = {(0, 1): [start + t for t in range(7)]}
    right = otter_prompt.answer_tokens.tolist()
    wrong = llama.tokenizer.encode("a grey boat", add_special_tokens=False)
    planted = PlantedModel(llama, [150] * 8, [right] + [wrong] * 7, [looks] + [{}] * 7)
    with llama.hooks(fwd_hooks=planted.fwd_hooks()):
        return detect_retrieval_heads(llama, [otter_prompt] * 8, progress=False)


def test_the_summary_counts_trials_heads_and_shares(result):
    lines = summarise(result, k=3).splitlines()
    repeats = "(1 distinct: repeats are no samples)"
    assert lines[0] == f"8 prompts {repeats}: 1 accepted, 7 rejected"
    depth = f"{result.trials[0].prompt.depth:.2f}"
    assert lines[1] == f"  150 tokens: 8 at depths {depth}"
    assert lines[2].startswith(f"  rejected (trial 1, 150 tokens, depth {depth}")
    assert "a grey boat" in lines[2]
    assert lines[7] == "  ... and 2 more"
    assert "Top heads by position score" in lines
    assert lines[-2] == "score >= 0.1: 1 of 12 heads (8.3 %)"
    assert lines[-1] == "score = 0: 11 of 12 heads (91.7 %)"


def test_the_table_has_the_best_head_first(result):
    header, best, *others = summarise(result, k=3).split("\n\n")[1].splitlines()[1:]
    assert header.split() == ["head", "score", "activation", "frequency", "KV", "group"]
    assert best.split() == ["L0H1", "1.000", "1.000", "0"]
    assert len(others) == 2
