import pytest
import torch
from planted import PlantedModel
from tiny_models import ARCHITECTURES, HYBRIDS
from tolerances import assert_close, assert_largest, model_rounding

from rh_lens.runtime import StopRule, greedy_decode, stop_rule, teacher_force

NEVER = StopRule(frozenset())


def assert_said(bridge, tokens, logits, n_prompt):
    """Tokens have the largest logits of a pass over the prompt and them."""
    allowed = model_rounding(bridge, n_prompt + len(tokens)) * float(logits.abs().max())
    assert_largest(tokens, logits[n_prompt - 1 :], allowed)


@pytest.mark.parametrize("name", [*ARCHITECTURES, *HYBRIDS])
def test_tokens_equal_plain_hugging_face(tiny_model, random_tokens, name):
    model = tiny_model(name)
    tokens = greedy_decode(model.bridge, random_tokens, max_new_tokens=10, stop=NEVER).tokens
    logits, _ = model.reference_pass(torch.cat([random_tokens, tokens])[:-1])
    assert_said(model.bridge, tokens, logits, 40)
    assert len(tokens.unique()) > 3


def test_tokens_equal_the_bridges_own_generate(llama, random_tokens):
    ours = greedy_decode(llama, random_tokens, max_new_tokens=10, stop=NEVER).tokens
    theirs = llama.generate(
        random_tokens[None],
        max_new_tokens=10,
        do_sample=False,
        verbose=False,
        stop_at_eos=False,
        return_type="tokens",
    )
    assert torch.equal(ours, theirs[0, 40:])


def test_a_prompt_of_one_token_needs_no_prefill(tiny_model, random_tokens):
    model = tiny_model("llama")
    tokens = greedy_decode(model.bridge, random_tokens[:1], max_new_tokens=5, stop=NEVER).tokens
    logits, _ = model.reference_pass(torch.cat([random_tokens[:1], tokens])[:-1])
    assert_said(model.bridge, tokens, logits, 1)


def test_decode_hooks_see_the_last_prompt_token_and_every_generated_one(llama, random_tokens):
    lengths = []

    def note(embedding, hook):
        lengths.append(embedding.shape[1])

    greedy_decode(
        llama, random_tokens, max_new_tokens=4, stop=NEVER, decode_hooks=[("hook_embed", note)]
    )
    assert lengths == [1, 1, 1, 1]


def test_hooks_held_open_act_on_the_prefill_too(llama, random_tokens):
    lengths = []

    def note(embedding, hook):
        lengths.append(embedding.shape[1])

    with llama.hooks(fwd_hooks=[("hook_embed", note)]):
        greedy_decode(llama, random_tokens, max_new_tokens=2, stop=NEVER)
        llama(random_tokens)
    assert lengths == [39, 1, 1, 40]


def answer(bridge, tokens, *, stop=None, max_new_tokens=20):
    """What decoding makes of a model that says these tokens and then end of sequence."""
    planted = PlantedModel(bridge, [10], [tokens], [{}])
    stop = stop or stop_rule(bridge.tokenizer)
    with bridge.hooks(fwd_hooks=planted.fwd_hooks()):
        return greedy_decode(bridge, torch.arange(10, 20), max_new_tokens=max_new_tokens, stop=stop)


def ids(bridge, text):
    return bridge.tokenizer.encode(text, add_special_tokens=False)


def test_end_of_sequence_is_not_a_step(llama):
    generation = answer(llama, ids(llama, "a violet otter"))
    assert generation.tokens.tolist() == ids(llama, "a violet otter")
    assert (generation.text, generation.stop_reason) == ("a violet otter", "eos")


def test_an_answer_may_be_empty(llama):
    generation = answer(llama, [])
    assert generation.tokens.shape == (0,)
    assert (generation.text, generation.stop_reason) == ("", "eos")


def test_a_newline_ends_the_answer_and_is_dropped(llama):
    generation = answer(llama, ids(llama, "an otter\nQuestion"))
    assert (generation.text, generation.stop_reason) == ("an otter", "newline")
    assert generation.tokens.tolist() == ids(llama, "an otter")


def test_leading_newlines_are_steps_and_do_not_end_the_answer(llama):
    generation = answer(llama, ids(llama, "\n\nan otter\nQuestion"))
    assert (generation.text, generation.stop_reason) == ("\n\nan otter", "newline")


def test_every_token_of_a_stop_string_is_dropped(llama):
    tokens = ids(llama, "otter. Question: what")
    stop = stop_rule(llama.tokenizer, strings=["Question:"])
    generation = answer(llama, tokens, stop=stop)
    assert (generation.text, generation.stop_reason) == ("otter.", "string")
    assert generation.tokens.tolist() == tokens[: len(generation.tokens)]
    assert len(ids(llama, "Question:")) > 1  # so several tokens went


def test_a_token_that_holds_the_answers_end_and_the_stop_goes_whole(llama):
    piece = ids(llama, "otter")[-1]
    stop = stop_rule(llama.tokenizer, newline=False, strings=["er"])
    generation = answer(llama, ids(llama, "otter"), stop=stop)
    assert llama.tokenizer.decode([piece]) == "ter"
    assert (generation.text, generation.stop_reason) == ("ot", "string")


def test_length_ends_the_answer_last(llama):
    generation = answer(llama, ids(llama, "a violet otter"), max_new_tokens=3)
    assert (generation.text, generation.stop_reason) == ("a viol", "length")


def test_text_leaves_special_tokens_out_but_tokens_keep_them(llama):
    generation = answer(llama, [0, *ids(llama, "otter")])
    assert generation.text == "otter"
    assert generation.tokens[0] == 0


@pytest.mark.parametrize("name", [*ARCHITECTURES, *HYBRIDS])
def test_teacher_forcing_gives_the_rows_that_predict_the_answer(tiny_model, random_tokens, name):
    model = tiny_model(name)
    forced = teacher_force(model.bridge, random_tokens[:32], random_tokens[32:])
    expected, _ = model.reference_pass(random_tokens)
    assert_close(forced.clone(), expected[31:39], model_rounding(model.bridge, 40))


def test_teacher_forcing_is_one_hooked_pass(llama, random_tokens):
    lengths = []

    def note(embedding, hook):
        lengths.append(embedding.shape[1])

    hooks = [("hook_embed", note)]
    teacher_force(llama, random_tokens[:32], random_tokens[32:], decode_hooks=hooks)
    assert lengths == [8]


def test_an_empty_prompt_is_refused(llama):
    with pytest.raises(ValueError, match="Expected a prompt of at least one token; found none"):
        greedy_decode(llama, torch.tensor([], dtype=torch.long), stop=NEVER)


def test_an_empty_answer_cannot_be_forced(llama, random_tokens):
    with pytest.raises(ValueError, match="answer of at least one token"):
        teacher_force(llama, random_tokens, torch.tensor([], dtype=torch.long))


def test_no_room_for_an_answer_is_refused(llama, random_tokens):
    with pytest.raises(ValueError, match="max_new_tokens to be a whole number from 1 to"):
        greedy_decode(llama, random_tokens, max_new_tokens=0, stop=NEVER)


def test_learned_positions_are_not_exceeded(tiny_model, random_tokens):
    gpt2 = tiny_model("gpt2").bridge
    with pytest.raises(ValueError, match=r"context window of 256 tokens; found 40 \+ 217\."):
        greedy_decode(gpt2, random_tokens, max_new_tokens=217, stop=NEVER)


def test_what_is_no_bridge_is_refused(random_tokens):
    with pytest.raises(TypeError, match="Expected a TransformerBridge; found str"):
        greedy_decode("gpt2", random_tokens, stop=NEVER)
