import pytest
import torch
from running import NEVER, grid

from rh_lens.heads import Head
from rh_lens.interventions import zero_ablation
from rh_lens.runtime import Condition, answer_prompts, must_fire

# A hook point that the bridge has and never calls.
SILENT = "blocks.1.attn.hook_hidden_states"


def observe(tensor, hook):
    pass


def test_hooks_that_are_called_do_what_they_did(llama, random_tokens):
    hooks = zero_ablation([Head(1, 2), Head(2, 0)])
    with must_fire(hooks) as watched, llama.hooks(fwd_hooks=watched):
        found = llama(random_tokens[None])
    with llama.hooks(fwd_hooks=hooks):
        assert torch.equal(llama(random_tokens[None]), found)
    assert [name for name, _ in watched] == [name for name, _ in hooks]


def test_a_silent_hook_is_an_error(llama, random_tokens):
    hooks = [*zero_ablation([Head(1, 2)]), (SILENT, observe)]
    expected = (
        r"every hook to be called; found 1 of 2 silent, at \['blocks\.1\.attn\.hook_hidden_states'"
        r"\]: the intervention did not take place"
    )
    with (
        pytest.raises(RuntimeError, match=expected),
        must_fire(hooks) as watched,
        llama.hooks(fwd_hooks=watched),
    ):
        llama(random_tokens[None])


def test_each_of_two_hooks_at_one_point_must_be_called(llama, random_tokens):
    """The first is called; the second was never put on the model."""
    hooks = zero_ablation([Head(1, 2)]) * 2
    with (
        pytest.raises(RuntimeError, match="found 1 of 2 silent"),
        must_fire(hooks) as watched,
        llama.hooks(fwd_hooks=watched[:1]),
    ):
        llama(random_tokens[None])


def test_a_model_that_never_ran_is_an_error(llama):
    with (
        pytest.raises(RuntimeError, match=r"found 1 of 1 silent.* that it ran"),
        must_fire(zero_ablation([Head(0, 0)])) as watched,
        llama.hooks(fwd_hooks=watched),
    ):
        pass


def test_hooks_reset_inside_are_an_error(llama, random_tokens):
    def run():
        with (
            must_fire(zero_ablation([Head(0, 0)])) as watched,
            llama.hooks(fwd_hooks=watched),
        ):
            llama.reset_hooks()
            llama(random_tokens[None])

    with pytest.raises(RuntimeError, match="nothing reset its hooks meanwhile"):
        run()


def test_another_error_comes_through():
    with pytest.raises(KeyboardInterrupt), must_fire(zero_ablation([Head(0, 0)])):
        raise KeyboardInterrupt


def test_no_hooks_no_error():
    with must_fire(()) as watched:
        assert watched == []


@pytest.mark.parametrize("scope", ["prefill", "decode", "both"])
def test_a_condition_whose_hook_stays_silent_is_an_error(llama, scope):
    conditions = {"plain": Condition(), "silent": Condition([(SILENT, observe)], scope)}
    answers = answer_prompts(llama, grid()[:1], conditions, max_new_tokens=2, stop=NEVER)
    with pytest.raises(RuntimeError, match="found 1 of 1 silent"):
        list(answers)


def test_a_run_that_is_left_early_is_no_error(llama):
    conditions = {"a": Condition(), "silent": Condition([(SILENT, observe)], "decode")}
    answers = answer_prompts(llama, grid(), conditions, max_new_tokens=2, stop=NEVER)
    assert list(next(answers)) == ["a"]
    answers.close()
    assert llama.list_hooks() == {}
