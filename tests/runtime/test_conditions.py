import pytest
import torch
from running import NEVER, STEPS, grid

from rh_lens.heads import Head
from rh_lens.interventions import zero_ablation
from rh_lens.runtime import Condition, Execution, answer_prompts, greedy_decode

STEPWISE = Execution(speculate=False)
MODELS = ["llama", "mistral-window", "gemma3", "gpt2", "gpt-oss", "lfm2", "dynamic", "longrope"]
CONDITIONS = {
    "plain": Condition(scope="decode"),
    "one head": Condition(zero_ablation([Head(1, 2)]), "decode"),
    "a layer": Condition(zero_ablation(Head(1, head) for head in range(4)), "decode"),
}


@pytest.mark.parametrize(
    ("name", "speculate"),
    [
        *((name, True) for name in MODELS),
        *(pytest.param(name, False, marks=pytest.mark.slow) for name in MODELS[1:]),
        ("llama", False),
    ],
)
def test_forked_answers_equal_separate_runs(tiny_model, name, speculate):
    bridge, prompts = tiny_model(name).bridge, grid()[:3]
    found = {
        (condition, answer.index): answer.generation
        for together in answer_prompts(
            bridge,
            prompts,
            CONDITIONS,
            max_new_tokens=STEPS,
            stop=NEVER,
            execution=Execution(speculate=speculate),
        )
        for condition, answer in together.items()
    }
    assert len(found) == 9
    for (condition, index), generation in found.items():
        alone = greedy_decode(
            bridge,
            prompts[index].tokens,
            max_new_tokens=STEPS,
            stop=NEVER,
            decode_hooks=CONDITIONS[condition].hooks,
            execution=Execution(prefill="whole"),
        )
        assert torch.equal(generation.tokens, alone.tokens)
    assert any(
        not torch.equal(found["plain", index].tokens, found["a layer", index].tokens)
        for index in range(3)
    )


def test_a_prompt_is_read_once_for_all_conditions(llama):
    """71 tokens without the last one, then 6 steps for each of 3 conditions."""
    (prompt,) = grid()[:1]
    lengths = []

    def note(embedding, hook):
        lengths.append(embedding.shape[1])

    with llama.hooks(fwd_hooks=[("hook_embed", note)]):
        list(
            answer_prompts(
                llama, [prompt], CONDITIONS, max_new_tokens=STEPS, stop=NEVER, execution=STEPWISE
            )
        )
    assert lengths == [70] + [1] * 3 * STEPS


def test_there_may_be_no_prompt(llama):
    assert list(answer_prompts(llama, [], CONDITIONS, max_new_tokens=1, stop=NEVER)) == []
