"""What a researcher does in the first quarter of an hour: nothing that is natural fails."""

import pickle

import jaxtyping
import pytest
import torch

import rh_lens
from rh_lens import analysis

ROOM = {"max_new_tokens": 12, "progress": False}


@pytest.fixture(scope="module")
def model():
    return rh_lens.load_demo_model()


@pytest.fixture(scope="module")
def prompts(model):
    """One length and a few needles, without lists of one."""
    return rh_lens.build_grid(
        model.tokenizer,
        rh_lens.synthetic_haystack(),
        rh_lens.default_needles()[:3],
        context_lengths=128,
        depths=2,
    )


@pytest.fixture(scope="module")
def result(model, prompts):
    return rh_lens.detect_retrieval_heads(model, prompts, **ROOM)


def test_whatever_is_typed_at_the_prompt_shows_itself_in_a_line(result, prompts):
    for thing in (result, prompts[0], result.trials[0], result.events, result.scores):
        assert len(repr(thing)) < 400
    assert "<mark" in prompts[0]._repr_html_()
    assert rh_lens.summarise(result, k=3).startswith("6 prompts: 6 accepted")


def test_a_result_is_kept_and_comes_back_to_the_last_bit(result, tmp_path):
    rh_lens.save_result(result, tmp_path / "run")
    again = rh_lens.load_result(tmp_path / "run")
    assert again.scores.values.equal(result.scores.values)
    assert again.heads() == result.heads()
    assert [trial.text for trial in again.trials] == [trial.text for trial in result.trials]
    assert rh_lens.load_run(tmp_path / "run").trials[0].text == result.trials[0].text


def test_the_same_heads_in_every_notation_give_the_same_bits(model, result, prompts):
    best = result.top(1)[0]
    layer, head = best.layer, best.head
    mask = torch.zeros(4, 8, dtype=torch.bool)
    mask[layer, head] = True
    notations = [best, (layer, head), best.label, f"{layer}-{head}", f"{layer}.{head}", [best]]
    logits = []
    for heads in [*notations, mask]:
        with model.hooks(fwd_hooks=rh_lens.zero_ablation(heads)):
            logits.append(model(prompts[0].tokens[None])[0, -1])
    assert all(one.equal(logits[0]) for one in logits)
    assert not logits[0].equal(model(prompts[0].tokens[None])[0, -1])


def test_raw_hooks_are_a_condition_and_a_curve_can_be_pickled(model, result, prompts):
    hooks = rh_lens.zero_ablation(result.heads())
    recall = rh_lens.needle_recall(model, prompts[:2], {"silent": hooks}, **ROOM)
    assert recall.summary().set_index("condition").loc["silent", "recall"] < 0.5
    curve = rh_lens.ablation_curve(
        model, prompts[:1], result.scores.ranking(), ks=[4], n_controls=1, n_rankings=0, **ROOM
    )
    assert repr(pickle.loads(pickle.dumps(curve))) == repr(curve)
    assert "top K" in rh_lens.summarise(curve)


def test_a_model_in_memory_and_a_text_of_ones_own(model):
    again = rh_lens.load_model(model.original_model, tokenizer=model.tokenizer, device="cpu")
    text = "The garden is quiet. The key word of Velnor is amber. The harbour is far away."
    prompt = rh_lens.prompt_from_text(
        again.tokenizer, text, answer="amber", question="What is the key word of Velnor?"
    )
    start, stop = prompt.answer_span
    assert again.tokenizer.decode(prompt.tokens[start:stop]).strip() == "amber"
    stop = rh_lens.stop_rule(again.tokenizer)
    answer = rh_lens.greedy_decode(again, prompt.tokens, stop=stop)
    typed = rh_lens.greedy_decode(again, prompt.tokens[None], stop=stop)
    assert answer.tokens.equal(typed.tokens)


def test_analyses_take_the_result(result):
    assert analysis.measure_sparsity(result).n_heads == 32
    assert len(analysis.score_intervals(result).to_dataframe()) == 32
    assert analysis.answer_map(result).share.shape[:2] == (4, 8)


@pytest.fixture
def as_installed():
    """Without the types that the tests check: users don't have them."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.mark.parametrize(
    "mistake",
    [
        lambda model, prompts: rh_lens.detect_retrieval_heads(prompts, model),
        lambda model, prompts: rh_lens.detect_retrieval_heads(model, "a text"),
        lambda model, prompts: rh_lens.detect_retrieval_heads(model, prompts, batch_size=4),
        lambda model, prompts: rh_lens.zero_ablation("layer 2 head 4"),
        lambda model, prompts: rh_lens.zero_ablation(2.4),
        lambda model, prompts: rh_lens.greedy_decode(model, 3, stop=None),
        lambda model, prompts: rh_lens.load_model(None),
        lambda model, prompts: rh_lens.summarise(prompts),
    ],
)
@pytest.mark.usefixtures("as_installed")
def test_mistakes_get_the_houses_kind_of_error(model, prompts, mistake):
    with pytest.raises((TypeError, ValueError), match=r"Expected .*found"):
        mistake(model, prompts)
