from pathlib import Path

import pytest
from tokenizers import Tokenizer, decoders, models, normalizers
from transformers import (
    AutoTokenizer,
    ByT5Tokenizer,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)

from rh_lens.prompts.pieces import PieceEncoder


def test_only_some_tokenizers_put_a_space_or_a_bos_before_a_text(
    tokenizers: dict[str, PreTrainedTokenizerBase],
):
    found = {
        kind: (PieceEncoder(tokenizer).adds_space, PieceEncoder(tokenizer).start_tokens.tolist())
        for kind, tokenizer in tokenizers.items()
    }
    assert found == {
        "byte_level": (False, []),
        "byte_level_prefixed": (True, []),
        "line_joining": (False, [1]),
        "metaspace": (True, [1]),
        "unigram": (True, [1]),
        "wordpiece": (True, []),
        "unsplit": (False, []),
    }


@pytest.mark.parametrize("text", ["day", " day", "\n\nThe day", "。雨停了", ' "day"'])
def test_a_piece_within_a_text_gets_no_space_of_its_own(
    tokenizers: dict[str, PreTrainedTokenizerBase], text: str
):
    for kind in ("byte_level", "byte_level_prefixed", "line_joining", "metaspace", "unigram"):
        encoder = PieceEncoder(tokenizers[kind])
        first = encoder.encode("Once")
        piece = encoder.encode_within(text)
        joined = encoder.decode([*first.tokens.tolist(), *piece.tokens.tolist()])
        assert joined.removeprefix(" ") == "Once" + text, kind


def test_offsets_point_into_the_pieces_own_text(tokenizer: PreTrainedTokenizerBase):
    piece = PieceEncoder(tokenizer).encode_within(" The road to Paris.")
    start, stop = piece.span(13, 18)
    spelt = tokenizer.decode(piece.tokens[start:stop]).strip()
    # Without word splitting, the full stop may share the last token.
    assert spelt.casefold().rstrip(".") == "paris"
    assert piece.ends[-1] == 19


def test_names_of_special_tokens_are_plain_text_unless_asked(
    tokenizers: dict[str, PreTrainedTokenizerBase],
):
    for kind in tokenizers.keys() - {"unigram"}:
        encoder = PieceEncoder(tokenizers[kind])
        bos = tokenizers[kind].bos_token_id
        assert encoder.encode("<s>", special=True).tokens.tolist() == [bos], kind
        assert encoder.encode_within("\n<s>", special=True).tokens[-1] == bos, kind
        assert bos not in encoder.encode("a <s> b").tokens, kind
        assert bos not in encoder.encode_within("a <s> b").tokens, kind


def test_names_that_unigram_models_always_read_as_tokens_are_refused(
    tokenizers: dict[str, PreTrainedTokenizerBase],
):
    with pytest.raises(ValueError, match="found '<s>' at character 2, which this tokenizer always"):
        PieceEncoder(tokenizers["unigram"]).encode("a <s> b")


def test_slow_tokenizers_are_refused():
    with pytest.raises(ValueError, match=r"Expected a fast tokenizer.* found ByT5Tokenizer"):
        PieceEncoder(ByT5Tokenizer())


def test_dropped_text_has_no_span(tokenizers: dict[str, PreTrainedTokenizerBase]):
    piece = PieceEncoder(tokenizers["wordpiece"]).encode("a \x01\x01 b")
    with pytest.raises(ValueError, match="characters 2 to 4; found none"):
        piece.span(2, 4)


def test_a_tokenizer_that_merges_every_anchor_is_refused(tmp_path: Path):
    letters = ["▁", ".", "x", "\n", "T"]
    merges = [(anchor, "T") for anchor in (".", "x", "\n")]
    vocabulary = {token: i for i, token in enumerate([*letters, *map("".join, merges)])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    tokenizer.normalizer = normalizers.Prepend("▁")
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="never")
    PreTrainedTokenizerFast(tokenizer_object=tokenizer).save_pretrained(tmp_path)
    encoder = PieceEncoder(AutoTokenizer.from_pretrained(tmp_path))
    assert encoder.adds_space
    with pytest.raises(ValueError, match="merges all of them with 'T'"):
        encoder.encode_within("T")
