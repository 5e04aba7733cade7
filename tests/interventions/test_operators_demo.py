"""What the operators do to the bundled model, whose retrieval heads are L2H2 to L2H5."""

import pytest

from rh_lens.demo import load_demo_model
from rh_lens.demo.training.held_out import held_out_prompts
from rh_lens.heads import Head
from rh_lens.interventions import (
    head_outputs,
    knock_out_edges,
    mean_ablation,
    mean_head_outputs,
    resample_ablation,
    scale_heads,
    uniform_attention,
    zero_ablation,
)
from rh_lens.runtime import Condition, answer_prompts, eos_token_ids, greedy_decode, stop_rule

RETRIEVAL = [Head(2, head) for head in (2, 3, 4, 5)]
OTHERS = [Head(2, head) for head in (0, 1, 6, 7)]


@pytest.fixture(scope="module")
def demo():
    """The bundled model, four prompts with two needles, and how to stop."""
    model = load_demo_model()
    return model, prompts_of(model, 2), stop_rule(model.tokenizer, eos=eos_token_ids(model))


def prompts_of(model, n_needles, seed=11):
    return held_out_prompts(
        model.tokenizer,
        context_lengths=[256],
        depths=[0.3, 0.8],
        n_needles=n_needles,
        seed=seed,
    )


def says_it(prompt, text):
    return prompt.needle.answer.lower() in text.lower()


def n_right(demo, conditions):
    """Prompts answered rightly under each condition."""
    model, prompts, stop = demo
    right = dict.fromkeys(conditions, 0)
    for together in answer_prompts(model, prompts, conditions, max_new_tokens=16, stop=stop):
        for name, answer in together.items():
            right[name] += says_it(prompts[answer.index], answer.generation.text)
    return right


def test_every_silencing_operator_loses_the_needle_and_only_in_the_retrieval_heads(demo):
    model = demo[0]
    others = prompts_of(model, 4, seed=99)
    means, donor = mean_head_outputs(model, others), head_outputs(model, others[0]).draw(seed=0)

    def silenced(heads):
        return {
            "zero": zero_ablation(heads),
            "mean": mean_ablation(heads, means),
            "resample": resample_ablation(heads, donor),
            "uniform": uniform_attention(model, heads),
        }

    lost = {name: Condition(hooks, "decode") for name, hooks in silenced(RETRIEVAL).items()}
    kept = {name: Condition(hooks, "decode") for name, hooks in silenced(OTHERS).items()}
    assert n_right(demo, lost) == dict.fromkeys(lost, 0)
    assert n_right(demo, kept) == dict.fromkeys(kept, 4)


def test_means_over_the_same_needles_give_some_of_them_away(demo):
    """With 2 needles, half of the mean is the answer's own rows."""
    model, prompts, _ = demo
    own = Condition(mean_ablation(RETRIEVAL, mean_head_outputs(model, prompts)), "decode")
    assert n_right(demo, {"own": own})["own"] > 0


@pytest.mark.slow
def test_the_needle_is_lost_where_the_answer_is_said_not_where_it_is_read(demo):
    conditions = {
        scope: Condition(zero_ablation(RETRIEVAL), scope) for scope in ("prefill", "decode", "both")
    }
    conditions["amplified"] = Condition(scale_heads(RETRIEVAL, 2.0), "decode")
    assert n_right(demo, conditions) == {"prefill": 4, "decode": 0, "both": 0, "amplified": 4}


@pytest.mark.slow
def test_four_heads_and_the_answers_few_positions_carry_the_needle(demo):
    """Cut off from the answer, the retrieval heads lose it; from as many other tokens, they don't;
    and the other heads need not see it at all."""
    model, prompts, stop = demo

    def right(heads, keys_of):
        said = [
            greedy_decode(
                model,
                prompt.tokens,
                max_new_tokens=16,
                stop=stop,
                decode_hooks=knock_out_edges(model, heads, keys_of(prompt)),
            )
            for prompt in prompts
        ]
        return sum(says_it(p, answer.text) for p, answer in zip(prompts, said, strict=True))

    def elsewhere(prompt):
        start, stop = prompt.answer_span
        return (1, 1 + stop - start)

    everywhere_else = [Head(layer, head) for layer in range(4) for head in range(8)]
    everywhere_else = [head for head in everywhere_else if head not in RETRIEVAL]
    assert right(RETRIEVAL, lambda prompt: prompt.answer_span) == 0
    assert right(RETRIEVAL, elsewhere) == 4
    assert right(everywhere_else, lambda prompt: prompt.answer_span) == 4
