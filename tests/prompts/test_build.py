import hashlib

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerBase

from rh_lens.prompts import (
    Haystack,
    Needle,
    NeedlePrompt,
    Template,
    build_grid,
    build_prompt,
    chat_template,
    default_needles,
    synthetic_haystack,
    text_haystack,
    uniform_depths,
)
from rh_lens.prompts.pieces import PieceEncoder

Tokenizers = dict[str, PreTrainedTokenizerBase]
CHAT = "{{ bos_token }}<|user|>\n{{ messages[0]['content'] }}</s>{{ '\n<|assistant|>\n' }}"


def around_needle(prompt: NeedlePrompt) -> list[int]:
    start, stop = prompt.needle_span
    return [*prompt.tokens[:start].tolist(), *prompt.tokens[stop:].tolist()]


def assert_exact(prompt: NeedlePrompt, tokenizer: PreTrainedTokenizerBase, length: int) -> None:
    assert len(prompt.tokens) == prompt.context_length == length
    assert prompt.needle_span[0] <= prompt.answer_span[0] < prompt.answer_span[1]
    assert prompt.answer_span[1] <= prompt.needle_span[1]
    assert tokenizer.decode(prompt.answer_tokens).strip() == prompt.needle.answer
    assert 0.0 <= prompt.depth <= prompt.requested_depth <= 1.0


@pytest.mark.parametrize("depth", [0.0, 0.33, 0.5, 1.0])
@pytest.mark.parametrize("length", [150, 301, 2048])
def test_length_and_answer_span_are_exact(
    tokenizer: PreTrainedTokenizerBase,
    haystack: Haystack,
    needle: Needle,
    length: int,
    depth: float,
):
    prompt = build_prompt(tokenizer, haystack, needle, context_length=length, depth=depth)
    assert_exact(prompt, tokenizer, length)


@pytest.mark.parametrize("depth", [0.0, 0.4, 1.0])
def test_tokens_outside_the_needle_are_the_plain_haystacks(
    tokenizer: PreTrainedTokenizerBase, haystack: Haystack, needle: Needle, depth: float
):
    prompt = build_prompt(tokenizer, haystack, needle, context_length=700, depth=depth)
    bos = tokenizer("x")["input_ids"][: -len(tokenizer.tokenize("x"))]
    plain = tokenizer(haystack.text, add_special_tokens=False)["input_ids"]
    after = PieceEncoder(tokenizer).encode_within(f"\n\nQuestion: {needle.question}\nAnswer:")
    n_needle = prompt.needle_span[1] - prompt.needle_span[0]
    n_hay = 700 - len(bos) - n_needle - len(after.tokens)
    assert around_needle(prompt) == [*bos, *plain[:n_hay], *after.tokens.tolist()]
    assert prompt.depth == (prompt.needle_span[0] - len(bos)) / n_hay


@given(data=st.data(), length=st.integers(120, 900), depth=st.floats(0.0, 1.0))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_length_and_depth_is_exact(
    tokenizers: Tokenizers, haystack: Haystack, needle: Needle, data, length: int, depth: float
):
    tokenizer = tokenizers[data.draw(st.sampled_from(sorted(tokenizers)))]
    prompt = build_prompt(tokenizer, haystack, needle, context_length=length, depth=depth)
    assert_exact(prompt, tokenizer, length)


@pytest.mark.parametrize("kind", ["byte_level", "line_joining", "metaspace", "unigram", "unsplit"])
def test_text_reads_as_if_the_needle_had_always_been_there(
    tokenizers: Tokenizers, haystack: Haystack, needle: Needle, kind: str
):
    tokenizer = tokenizers[kind]
    prompt = build_prompt(tokenizer, haystack, needle, context_length=600, depth=0.6)
    text = tokenizer.decode(prompt.tokens, skip_special_tokens=True).removeprefix(" ")
    before, after = text.split(needle.text)
    assert before[-1].isspace()
    assert before.rstrip().endswith((".", "!", "?"))
    assert after[0].isspace()
    after, question, rest = after.partition("\n\nQuestion: ")
    assert question + rest == f"\n\nQuestion: {needle.question}\nAnswer:"
    # Of the whitespace on its two sides, one is the haystack's own.
    assert haystack.text.startswith((before[:-1] + after, before + after[1:]))


def test_needle_goes_to_the_last_sentence_start_at_or_before_the_depth(
    tokenizers: Tokenizers, needle: Needle
):
    tokenizer = tokenizers["byte_level"]
    sentence = "The cold lamp was red."
    n_sentence = len(tokenizer(f" {sentence}")["input_ids"])
    haystack = text_haystack([" ".join([sentence] * 200)])
    for depth in (0.1, 0.25, 0.5, 0.77, 1.0):
        prompt = build_prompt(tokenizer, haystack, needle, context_length=800, depth=depth)
        n_hay = round(prompt.needle_span[0] / prompt.depth)
        first = len(tokenizer(sentence)["input_ids"])
        latest = first + (int(depth * n_hay) - first) // n_sentence * n_sentence
        assert prompt.needle_span[0] == latest
        assert prompt.depth == latest / n_hay


def test_depth_zero_is_directly_before_the_haystack(
    tokenizers: Tokenizers, haystack: Haystack, needle: Needle
):
    expected = {
        "byte_level": f"{needle.text}\nEvery",
        "byte_level_prefixed": f" {needle.text} Every",
        "line_joining": f"<s>{needle.text}\nEvery",
        "metaspace": f"<s> {needle.text} Every",
        "unigram": f"<s> {needle.text} Every",
    }
    start = haystack.text[:5]
    assert start == "Every"
    for kind, text in expected.items():
        tokenizer = tokenizers[kind]
        prompt = build_prompt(tokenizer, haystack, needle, context_length=400, depth=0.0)
        assert prompt.depth == 0.0
        assert tokenizer.decode(prompt.tokens).startswith(text), kind


def test_sentencepiece_needle_has_one_space_mark(
    tokenizers: Tokenizers, haystack: Haystack, needle: Needle
):
    tokenizer = tokenizers["metaspace"]
    prompt = build_prompt(tokenizer, haystack, needle, context_length=400, depth=0.5)
    inserted = prompt.tokens[slice(*prompt.needle_span)].tolist()
    assert inserted == tokenizer(needle.text, add_special_tokens=False)["input_ids"]
    assert "  " not in tokenizer.decode(prompt.tokens)


def test_sentences_without_spaces_get_none(tokenizers: Tokenizers):
    haystack = text_haystack(["老人坐在树下喝茶。雨停了以后，街上的灯亮起来！" * 60])
    needle = Needle("密码是什么？", "密码是青色海象。", "青色海象")
    for kind in ("byte_level", "line_joining", "metaspace"):
        prompt = build_prompt(tokenizers[kind], haystack, needle, context_length=900, depth=0.5)
        text = tokenizers[kind].decode(prompt.tokens)
        before, after = text.split(needle.text)
        assert before.endswith(("。", "！")), kind
        assert after.startswith(("老人", "雨")), kind
        assert 0.4 < prompt.depth <= 0.5


def test_line_breaks_joined_to_full_stops_put_the_needle_on_its_own_line(
    tokenizers: Tokenizers, needle: Needle
):
    haystack = text_haystack([f"The lamp of room {n} was red." for n in range(100)])
    prompt = build_prompt(
        tokenizers["line_joining"], haystack, needle, context_length=500, depth=0.5
    )
    text = tokenizers["line_joining"].decode(prompt.tokens)
    assert f"was red.\n{needle.text}\nThe lamp" in text


def test_there_is_one_bos_whoever_writes_it(
    tokenizers: Tokenizers, needle: Needle, monkeypatch: pytest.MonkeyPatch
):
    marked = text_haystack(["Markup such as <s> or </s> is plain text here. " * 60])
    plain = text_haystack(["There is no markup here at all. " * 100])
    for kind, haystack in (("line_joining", marked), ("metaspace", marked), ("unigram", plain)):
        tokenizer = tokenizers[kind]
        monkeypatch.setattr(tokenizer, "chat_template", CHAT)
        for template in (
            Template("base", "{context} {question}"),
            Template("written", "<s> {context} {question}"),
            chat_template(tokenizer),
        ):
            prompt = build_prompt(
                tokenizer, haystack, needle, context_length=500, depth=0.5, template=template
            )
            assert prompt.tokens[0] == tokenizer.bos_token_id == 1
            assert (prompt.tokens == 1).sum() == 1


def test_tokenizers_that_add_no_bos_get_none(
    tokenizers: Tokenizers, haystack: Haystack, needle: Needle
):
    prompt = build_prompt(tokenizers["byte_level"], haystack, needle, context_length=300, depth=0.5)
    assert tokenizers["byte_level"].bos_token_id not in prompt.tokens


def test_chat_marks_are_special_tokens(
    tokenizers: Tokenizers, haystack: Haystack, needle: Needle, monkeypatch: pytest.MonkeyPatch
):
    tokenizer = tokenizers["line_joining"]
    monkeypatch.setattr(tokenizer, "chat_template", CHAT)
    prompt = build_prompt(
        tokenizer,
        haystack,
        needle,
        context_length=300,
        depth=0.0,
        template=chat_template(tokenizer),
    )
    text = tokenizer.decode(prompt.tokens)
    assert text.startswith(f"<s><|user|>\n{needle.text}\nEvery")
    assert text.endswith(f"\n\nQuestion: {needle.question}</s>\n<|assistant|>\n")
    for mark, token in (("</s>", 2), ("<|user|>", 3), ("<|assistant|>", 4)):
        assert (prompt.tokens == token).sum() == 1, mark


def test_a_templates_last_space_joins_the_word_after_it(
    tokenizers: Tokenizers, haystack: Haystack, needle: Needle
):
    template = Template("read", "Read: {context}\n{question}")
    for kind in ("byte_level", "byte_level_prefixed", "line_joining", "metaspace", "unigram"):
        tokenizer = tokenizers[kind]
        for depth, first in ((0.0, f"Read: {needle.text} Every"), (0.5, "Read: Every")):
            prompt = build_prompt(
                tokenizer, haystack, needle, context_length=300, depth=depth, template=template
            )
            text = tokenizer.decode(prompt.tokens, skip_special_tokens=True)
            assert text.removeprefix(" ").startswith(first), kind


def test_grid_has_every_cell_in_order_and_shares_prefixes(
    tokenizers: Tokenizers, haystack: Haystack, needle: Needle
):
    other = Needle("Who has the key?", "The key is with Ansel Dravik.", "Ansel Dravik")
    prompts = build_grid(
        tokenizers["line_joining"],
        haystack,
        [needle, other],
        context_lengths=[200, 400],
        depths=3,
    )
    cells = [(p.context_length, p.requested_depth, p.needle) for p in prompts]
    assert cells == [
        (n, d, q) for n in (200, 400) for d in (0.0, 0.5, 1.0) for q in (needle, other)
    ]
    for one, two in zip(prompts[::2], prompts[1::2], strict=True):
        n_shared = min(one.needle_span[0], two.needle_span[0])
        assert one.tokens[:n_shared].equal(two.tokens[:n_shared])


def test_tokens_that_reach_across_the_answers_ends_belong_to_it(
    tokenizers: Tokenizers, haystack: Haystack
):
    tokenizer = tokenizers["unsplit"]
    needle = Needle("What was it?", "It was on the road to Tarnowick.", "the road to Tarnowick")
    prompt = build_prompt(tokenizer, haystack, needle, context_length=300, depth=0.5)
    start, stop = prompt.answer_span
    assert needle.answer in tokenizer.decode(prompt.tokens[start:stop])
    assert needle.answer != tokenizer.decode(prompt.tokens[start:stop])
    assert needle.answer not in tokenizer.decode(prompt.tokens[start + 1 : stop])
    assert needle.answer not in tokenizer.decode(prompt.tokens[start : stop - 1])


def test_every_default_needle_can_be_hidden(tokenizers: Tokenizers):
    haystack = synthetic_haystack(n_sentences=200)
    needles = default_needles()
    for kind in ("byte_level", "line_joining", "metaspace"):
        prompts = build_grid(tokenizers[kind], haystack, needles, context_lengths=[512], depths=3)
        for prompt in prompts:
            assert_exact(prompt, tokenizers[kind], 512)


def test_a_grid_encodes_its_haystack_once(
    tokenizers: Tokenizers, haystack: Haystack, needle: Needle, monkeypatch: pytest.MonkeyPatch
):
    encoded: list[str] = []
    encode = PieceEncoder.encode
    monkeypatch.setattr(
        PieceEncoder,
        "encode",
        lambda self, text, **options: (encoded.append(text), encode(self, text, **options))[1],
    )
    build_grid(tokenizers["byte_level"], haystack, [needle], context_lengths=[200, 900], depths=10)
    assert len([text for text in encoded if len(text) > 1000]) == 1


def test_a_grid_prompt_is_the_prompt_built_alone(
    tokenizer: PreTrainedTokenizerBase, haystack: Haystack, needle: Needle
):
    grid = build_grid(tokenizer, haystack, [needle], context_lengths=[200, 1500], depths=[0.5])
    alone = build_prompt(tokenizer, haystack, needle, context_length=200, depth=0.5)
    assert grid[0].sha256 == alone.sha256
    assert grid[0].depth == alone.depth


def test_prompt_says_where_it_comes_from(
    tokenizers: Tokenizers, haystack: Haystack, needle: Needle
):
    prompt = build_prompt(tokenizers["metaspace"], haystack, needle, context_length=200, depth=0.25)
    ids = np.array(prompt.tokens.tolist(), dtype="<i8")
    assert prompt.content["tokens"] == hashlib.sha256(ids.tobytes()).hexdigest()
    assert (prompt.haystack_name, prompt.haystack_sha256) == ("prose", haystack.sha256)
    assert (prompt.template_name, prompt.requested_depth) == ("base", 0.25)
    assert (prompt.haystack_start, prompt.haystack_repeats) == (0, 1)
    assert prompt.tokens.dtype == torch.int64


def test_offset_starts_at_a_sentence(tokenizers: Tokenizers, haystack: Haystack, needle: Needle):
    tokenizer = tokenizers["byte_level"]
    prompt = build_prompt(
        tokenizer, haystack, needle, context_length=300, depth=1.0, haystack_offset=500
    )
    plain = tokenizer(haystack.text)["input_ids"]
    start = prompt.haystack_start
    assert 430 < start <= 500
    n_before = prompt.needle_span[0]
    assert prompt.tokens[:n_before].tolist() == plain[start : start + n_before]
    assert haystack.text[: len(tokenizer.decode(plain[:start]))].endswith((".", "!", "?"))


def test_repeats_start_on_a_new_line_and_are_counted(tokenizers: Tokenizers, needle: Needle):
    tokenizer = tokenizers["byte_level"]
    haystack = text_haystack(["The lamp was red. Nobody came. It rained for days."])
    text = "\n".join([haystack.text] * 100)
    plain = tokenizer(text)["input_ids"]
    n_copy = len(tokenizer(haystack.text + "\n")["input_ids"])
    for length in (200, 203, 260):
        prompt = build_prompt(
            tokenizer, haystack, needle, context_length=length, depth=0.5, allow_repeat=True
        )
        n_hay = round(prompt.needle_span[0] / prompt.depth)
        assert prompt.haystack_repeats == -(-n_hay // n_copy)
        assert around_needle(prompt)[:n_hay] == plain[:n_hay]


def test_one_depth_is_the_middle_and_more_include_both_ends():
    assert uniform_depths(1) == [0.5]
    assert uniform_depths(3) == [0.0, 0.5, 1.0]
    assert uniform_depths(10)[1] == pytest.approx(1 / 9)
    with pytest.raises(ValueError, match=r"n_depths to be a whole number from 1 .*; found 0"):
        uniform_depths(0)


APPLE = Needle("What lies there?", "There lies my apple.\nIt is red.", "apple")


def test_an_answer_span_says_whether_its_tokens_hold_more(
    tokenizers: Tokenizers, haystack: Haystack, needle: Needle
):
    """Whole words are exact, with their leading space too; "road to Tarn" of "Tarnowick" is not."""
    part = Needle("What was it?", "It was near Tarnowick.", "Tarnowi")
    for kind in ("byte_level", "line_joining", "metaspace", "unigram"):
        for whole, is_exact in ((needle, True), (APPLE, True), (part, False)):
            prompt = build_prompt(tokenizers[kind], haystack, whole, context_length=300, depth=0.5)
            text = tokenizers[kind].decode(prompt.answer_tokens).strip()
            assert prompt.span_is_exact == (text == whole.answer), kind
            assert is_exact == prompt.span_is_exact or whole is part, kind
    across = Needle("What was it?", "It was on the road to Tarnowick.", "the road to Tarnowick")
    prompt = build_prompt(tokenizers["unsplit"], haystack, across, context_length=300, depth=0.5)
    assert not prompt.span_is_exact


def test_needles_with_inexact_spans_can_be_left_out(
    tokenizers: Tokenizers, haystack: Haystack, needle: Needle
):
    across = Needle("What was it?", "It was on the road to Tarnowick.", "the road to Tarnowick")
    grid = {"context_lengths": [300], "depths": [0.0, 0.5]}
    tokenizer = tokenizers["unsplit"]
    kept = build_grid(tokenizer, haystack, [needle, across], **grid)
    exact = {prompt.needle for prompt in kept} - {p.needle for p in kept if not p.span_is_exact}
    if exact:
        found = build_grid(tokenizer, haystack, [needle, across], **grid, inexact_spans="drop")
        assert {prompt.needle for prompt in found} == exact
    with pytest.raises(ValueError, match="Expected a needle whose answer begins and ends"):
        build_grid(tokenizer, haystack, [across], **grid, inexact_spans="drop")
