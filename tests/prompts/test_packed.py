"""Several needles in a haystack: Latin squares, exact spans, shared tokens, refused collisions."""

from collections import Counter, defaultdict

import pytest

from rh_lens.prompts import (
    Distractor,
    Needle,
    PackedPrompt,
    Template,
    build_grid,
    build_packed_grid,
    default_needles,
    evaluation_needles,
    needle_collisions,
)

CITIES = [
    Needle(f"Which fruit is sold in {city}?", f"In {city}, {fruit} is sold by weight.", fruit)
    for city, fruit in [("Tarn", "sour apple"), ("Ulm", "red plum"), ("Vosk", "dry fig")]
]


def by_turn(prompts):
    turns = defaultdict(list)
    for prompt in prompts:
        turns[prompt.context_length, prompt.turn].append(prompt)
    return list(turns.values())


@pytest.fixture(scope="module")
def packed(tokenizers, haystack):
    return {
        kind: build_packed_grid(tokenizer, haystack, CITIES, context_lengths=[300, 420])
        for kind, tokenizer in tokenizers.items()
        if kind != "unsplit"  # its tokens reach across sentences
    }


def test_every_needle_is_at_every_depth_once(packed):
    for prompts in packed.values():
        assert len(prompts) == 2 * 3 * 3
        cells = Counter((p.needle.name, p.context_length, p.requested_depth) for p in prompts)
        assert [*cells.values()] == [1] * 18
        for turn in by_turn(prompts):
            assert sorted(p.requested_depth for p in turn) == [0.0, 0.5, 1.0]
            assert len({p.needle_span for p in turn}) == 3


def test_a_turn_shares_its_context_and_its_longest_prompt_is_exact(packed, tokenizers):
    for kind, prompts in packed.items():
        bos = tokenizers[kind].bos_token_id
        for turn in by_turn(prompts):
            context = turn[0].tokens[: turn[0].n_context]
            for prompt in turn:
                assert prompt.tokens[: prompt.n_context].equal(context)
                assert prompt.n_tokens == len(prompt.tokens) > prompt.n_context
                assert int((prompt.tokens == bos).sum()) <= 1
            assert max(p.n_tokens for p in turn) == turn[0].context_length


def test_spans_spell_each_needle_and_its_companions(packed, tokenizers):
    texts = {needle.name: needle for needle in CITIES}
    for kind, prompts in packed.items():
        if kind == "wordpiece":  # has no case and no spaces
            continue
        decode = tokenizers[kind].decode
        for prompt in prompts:
            assert isinstance(prompt, PackedPrompt)
            spelled = [(prompt.needle.name, prompt.needle_span, prompt.answer_span)]
            spelled += zip(
                prompt.companions,
                prompt.companion_spans,
                prompt.companion_answer_spans,
                strict=True,
            )
            assert sorted(name for name, *_ in spelled) == sorted(texts)
            for name, span, answer in spelled:
                assert texts[name].text in decode(prompt.tokens[slice(*span)])
                assert texts[name].answer in decode(prompt.tokens[slice(*answer)])
            assert list(prompt.companion_spans) == sorted(prompt.companion_spans)


def test_one_needle_a_context_is_the_grid(tokenizers, haystack):
    tokenizer = tokenizers["line_joining"]
    options = {"context_lengths": [200], "depths": 4}
    packed = build_packed_grid(tokenizer, haystack, CITIES, needles_per_context=1, **options)
    plain = build_grid(tokenizer, haystack, CITIES, **options)
    key = {(p.needle.name, p.requested_depth): p for p in plain}
    assert len(packed) == len(plain) == 12
    for prompt in packed:
        other = key[prompt.needle.name, prompt.requested_depth]
        assert prompt.tokens.equal(other.tokens)
        assert (prompt.answer_span, prompt.depth) == (other.answer_span, other.depth)


def test_more_depths_than_needles_and_fewer_needles_a_context(tokenizers, haystack):
    """7 depths for groups of 2 and 1: 7 turns each, 21 prompts, needles three depths apart."""
    prompts = build_packed_grid(
        tokenizers["metaspace"],
        haystack,
        CITIES,
        context_lengths=300,
        depths=7,
        needles_per_context=2,
    )
    assert Counter(len(p.companions) for p in prompts) == {1: 14, 0: 7}
    cells = Counter((p.needle.name, p.requested_depth) for p in prompts)
    assert [*cells.values()] == [1] * 21


def test_a_template_and_distractors(tokenizers, haystack):
    tokenizer = tokenizers["line_joining"]
    chat = Template("chat", "<|user|>Read this: {context}\n\n{question}<|assistant|>")
    needles = [
        Needle(n.question, n.text, n.answer, distractors=(Distractor(f"A {at} cost ten.", "ten"),))
        for at, n in enumerate(CITIES)
    ]
    prompts = build_packed_grid(
        tokenizer, haystack, needles, context_lengths=300, template=chat, n_distractors=1
    )
    assert len(prompts) == 9
    end = tokenizer.convert_tokens_to_ids("<|assistant|>")
    for prompt in prompts:
        assert int(prompt.tokens[-1]) == end
        ((start, stop),) = prompt.distractor_spans
        assert prompt.needle.distractors[0].text in tokenizer.decode(prompt.tokens[start:stop])


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (Needle("which fruit is sold in TARN", "A box holds pears.", "pears"), "the same question"),
        (
            Needle("What did Orla eat?", "Orla ate a sour apple.", "a sour apple"),
            "'sour apple' stands in both",
        ),
        (
            Needle("What rots?", "The fruits that are sold in Tarn rot.", "fruits"),
            "'Which fruit is sold in Tarn?' is about both",
        ),
    ],
)
def test_needles_that_answer_one_another_collide(tokenizers, haystack, other, reason):
    (found,) = needle_collisions([*CITIES, other])
    assert (found.first, found.second) == (CITIES[0], other)
    assert reason in found.reason
    with pytest.raises(ValueError, match=rf"{CITIES[0].name} .* and {other.name}"):
        build_packed_grid(tokenizers["metaspace"], haystack, [*CITIES, other], context_lengths=300)
    apart = build_packed_grid(
        tokenizers["metaspace"],
        haystack,
        [*CITIES, other],
        context_lengths=300,
        needles_per_context=2,
    )
    assert all(other.name not in p.companions for p in apart if p.needle is CITIES[0])


def test_an_answer_inside_a_word_is_no_collision():
    one = Needle("What is rare?", "Rare is the fig.", "fig")
    other = Needle("What is bold?", "Bold is a figure.", "a figure")
    assert needle_collisions([one, other]) == []


def test_the_packages_own_needles_do_not_collide():
    assert needle_collisions([*default_needles(), *evaluation_needles()]) == []


def test_refusals(tokenizers, haystack):
    def build(**options):
        values = {"context_lengths": 260, **options}
        return build_packed_grid(tokenizers["metaspace"], haystack, CITIES, **values)

    with pytest.raises(ValueError, match=r"a depth for each of the 3 needles .* found 2 depths"):
        build(depths=2)
    with pytest.raises(ValueError, match=r"Expected a context of \d+ tokens or more for 3 needles"):
        build(context_lengths=60)
    with pytest.raises(ValueError, match="a place between sentences for each of 3 needles"):
        build(context_lengths=110)
    with pytest.raises(ValueError, match="context lengths of 200 tokens or fewer"):
        build(max_context=200)
    with pytest.raises(ValueError, match="Leave one of each pair out"):
        build_packed_grid(tokenizers["metaspace"], haystack, [CITIES[0]] * 2, context_lengths=260)
