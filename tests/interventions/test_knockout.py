import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from intervention_cases import NEVER, prompts_of
from tiny_models import WINDOW
from tolerances import rounding

from rh_lens.detection.capture import answer_recorder
from rh_lens.heads import Head
from rh_lens.interventions import knock_out_edges
from rh_lens.runtime import decode_batch, greedy_decode, inference

HEADS = [Head(0, 1), Head(2, 3)]


def score_function(bridge, keys, **options):
    ((_, cut), *_) = knock_out_edges(bridge, [Head(0, 1)], keys, **options)
    return cut


def causal_scores(n_query, n_key, window=None, seed=0):
    """Masked random scores of the last rows of a context."""
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(1, 4, n_query, n_key, generator=generator)
    for row in range(n_query):
        position = n_key - n_query + row
        for key in range(n_key):
            if key > position or (window and key <= position - window):
                scores[:, :, row, key] = torch.finfo(torch.float32).min
    return scores


@settings(max_examples=40, deadline=None)
@given(
    n_key=st.integers(4, 12),
    n_query=st.integers(1, 3),
    keys=st.sets(st.integers(1, 3), min_size=1),
    window=st.sampled_from([None, 5]),
    seed=st.integers(0, 1000),
)
def test_cut_keys_get_nothing_and_the_others_share_it(llama, n_key, n_query, keys, window, seed):
    scores = causal_scores(n_query, n_key, window, seed)
    found = score_function(llama, sorted(keys))(scores, hook=None).softmax(dim=-1).tolist()
    plain = scores.softmax(dim=-1).tolist()
    for head in range(4):
        for row in range(n_query):
            cut = keys if head == 1 else set()
            weights = plain[0][head][row]
            total = sum(weights[key] for key in range(n_key) if key not in cut)
            for key in range(n_key):
                expected = 0.0 if key in cut else weights[key] / total
                close = pytest.approx(expected, rel=rounding(n_key), abs=0)
                assert found[0][head][row][key] == close


def test_the_recorder_sees_what_was_cut(llama):
    """All heads put something on the answer; the two that are cut, nothing."""
    prompt = prompts_of()[0]
    recorder = answer_recorder(llama, prompt)
    greedy_decode(
        llama,
        prompt.tokens,
        max_new_tokens=5,
        stop=NEVER,
        decode_hooks=[*knock_out_edges(llama, HEADS, prompt.answer_span), *recorder.fwd_hooks()],
    )
    mass = recorder.result().answer_rows(len(prompt.tokens), 5).needle_mass
    silenced = torch.zeros(3, 4, dtype=torch.bool)
    silenced[0, 1] = silenced[2, 3] = True
    assert (mass[:, silenced] == 0).all()
    assert (mass[:, ~silenced] > 0).all()


def test_a_span_and_its_positions_are_the_same(llama):
    scores = causal_scores(3, 9)
    span = score_function(llama, (2, 5))(scores, hook=None)
    assert torch.equal(span, score_function(llama, [4, 2, 3, 3])(scores, hook=None))
    assert torch.equal(span, score_function(llama, range(2, 5))(scores, hook=None))
    assert scores.isinf().sum() == 0


def test_a_batch_counts_each_prompts_own_positions(llama):
    """The second prompt is padded by 9; its needle is cut all the same."""
    first, second = prompts_of()[0], prompts_of(51)[1]
    heads = [Head(layer, head) for layer in range(3) for head in range(4)]
    hooks = [knock_out_edges(llama, heads, p.needle_span) for p in (first, second)]
    options = {"max_new_tokens": 5, "stop": NEVER}
    both = decode_batch(llama, [first.tokens, second.tokens], decode_hooks=hooks, **options)
    alone = greedy_decode(llama, second.tokens, decode_hooks=hooks[1], **options)
    plain = greedy_decode(llama, second.tokens, **options)
    assert torch.equal(both[1].tokens, alone.tokens)
    assert not torch.equal(plain.tokens, alone.tokens)


def test_a_row_keeps_a_key(llama):
    cut = score_function(llama, (0, 3))
    expected = r"the rows at the positions \[0, 1, 2\] see no other in layer 0\. Cut fewer keys"
    with pytest.raises(ValueError, match=expected):
        cut(causal_scores(5, 5), hook=None)
    windowed = causal_scores(2, 9, window=3)
    with pytest.raises(ValueError, match=r"the rows at the positions \[7\] see no other"):
        score_function(llama, [5, 6, 7])(windowed, hook=None)
    assert torch.equal(cut(windowed, hook=None)[..., 3:], windowed[..., 3:])


def test_a_key_that_is_not_there_yet_is_refused(llama):
    with pytest.raises(
        ValueError, match=r"positions below 5, the context of this pass; found 6\. "
    ):
        score_function(llama, (2, 7))(causal_scores(1, 5), hook=None)


def test_padded_batches_are_refused(llama):
    with pytest.raises(ValueError, match="one prompt at a time; found a batch of 2 in layer 0"):
        score_function(llama, (2, 3))(torch.zeros(2, 4, 1, 5), hook=None)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ((5, 5), r"span \(start, stop\) with start < stop; found \(5, 5\)"),
        ((1, 2, 3), r"found \(1, 2, 3\)\. Pass positions that are no span as a list"),
        ([], r"keys to have 1 or more entries; found 0"),
        ([4, -1], r"keys to be a whole number of 0 or more; found -1"),
        ((-3, 2), r"keys to be a whole number of 0 or more; found -3"),
    ],
)
def test_keys_must_be_positions(llama, keys, expected):
    with pytest.raises(ValueError, match=expected):
        knock_out_edges(llama, HEADS, keys)


def test_behind_a_window_the_kind_of_cache_must_be_said(tiny_model):
    bridge = tiny_model("gemma3").bridge
    assert len(knock_out_edges(bridge, [Head(2, 0)], (3, 5))) == 1
    with pytest.raises(ValueError, match=r"sliding windows of the layers \[0\] stay in the cache"):
        knock_out_edges(bridge, [Head(0, 0), Head(2, 0)], (3, 5))


@pytest.mark.parametrize("name", ["mistral-window", "gemma3"])
def test_a_cache_that_drops_keys_is_refused(tiny_model, random_tokens, name):
    """In Hugging Face's own cache, a window of 12 leaves 12 keys on a decoding step."""
    bridge = tiny_model(name).bridge
    hooks = knock_out_edges(bridge, [Head(0, 1)], (9, 11), keeps_all_keys=False)

    def answer(tokens):
        with inference(bridge), bridge.hooks(fwd_hooks=hooks):
            options = {"do_sample": False, "return_type": "tokens"}
            bridge.hf_generate(tokens[None], max_new_tokens=3, **options)

    with pytest.raises(ValueError, match=f"found {WINDOW} keys in layer 0, as many as its sliding"):
        answer(random_tokens)
    with pytest.raises(ValueError, match="whole context; found 12 keys"):
        answer(random_tokens[:11])


def test_a_cache_that_keeps_keys_is_not_refused_at_the_windows_length(tiny_model):
    """12 keys on a step: as many as a cut axis has, but here they are all."""
    bridge = tiny_model("mistral-window").bridge
    cut = score_function(bridge, (9, 11), keeps_all_keys=True)
    assert cut(causal_scores(1, 12), hook=None)[0, 1, 0].isinf().nonzero().flatten().tolist() == [
        9,
        10,
    ]
