"""Tokenizers of every kind that decoders use, trained in memory and reloaded as users load them."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from tokenizers import (
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import AutoTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from rh_lens.prompts import Haystack, Needle, text_haystack
from rh_lens.prompts.pydoc_prose import pydoc_topics
from rh_lens.prompts.synthetic import write_prose

SPECIAL = ["<unk>", "<s>", "</s>", "<|user|>", "<|assistant|>"]
# Llama 3's pattern: a line break joins the punctuation before it.
LLAMA3 = r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
CHINESE = (
    "早上的市场很热闹。卖鱼的人在门口喊价！孩子们为什么不去学校？老人坐在树下喝茶。"
    "雨停了以后，街上的灯一盏一盏亮起来。船夫把绳子收好，慢慢地走回家。她说明天还会再来。"
)


def _bos(tokenizer: Tokenizer) -> processors.TemplateProcessing:
    return processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", tokenizer.token_to_id("<s>"))]
    )


def _train_bpe(tokenizer: Tokenizer, texts: list[str], *, n_vocab: int, alphabet: bool) -> None:
    trainer = trainers.BpeTrainer(
        vocab_size=n_vocab,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet() if alphabet else [],
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)


def byte_level(texts: list[str], *, prefix_space: bool = False) -> Tokenizer:
    """Like GPT-2: no BOS is added; offsets leave out the leading space."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix_space)
    tokenizer.decoder = decoders.ByteLevel()
    _train_bpe(tokenizer, texts, n_vocab=900, alphabet=True)
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=True)
    return tokenizer


def byte_level_prefixed(texts: list[str]) -> Tokenizer:
    """Byte-level, with a space put before every text."""
    return byte_level(texts, prefix_space=True)


def line_joining(texts: list[str]) -> Tokenizer:
    """Like Llama 3: adds a BOS; a full stop and the line break after it are one token."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(LLAMA3), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    _train_bpe(tokenizer, texts, n_vocab=900, alphabet=True)
    tokenizer.post_processor = processors.Sequence(
        [processors.ByteLevel(trim_offsets=True), _bos(tokenizer)]
    )
    return tokenizer


def metaspace(texts: list[str]) -> Tokenizer:
    """Like Llama 2: "▁" put before every text, bytes for unknown characters, a BOS."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    # Trained word by word, so that no token reaches across words, as in SentencePiece.
    words = [word for text in texts for word in re.findall(r"\w+|[^\w\s]", text)]
    _train_bpe(tokenizer, words, n_vocab=900, alphabet=False)
    model = json.loads(tokenizer.to_str())["model"]
    for byte in range(256):
        model["vocab"].setdefault(f"<0x{byte:02X}>", len(model["vocab"]))
    tokenizer.model = models.BPE(
        vocab=model["vocab"],
        merges=[tuple(pair) for pair in model["merges"]],
        byte_fallback=True,
        unk_token="<unk>",
        fuse_unk=True,
    )
    tokenizer.post_processor = _bos(tokenizer)
    return tokenizer


def unigram(texts: list[str]) -> Tokenizer:
    """SentencePiece's unigram model, "▁" at the start of the text only, a BOS."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="first")
    trainer = trainers.UnigramTrainer(
        vocab_size=900, special_tokens=SPECIAL, unk_token="<unk>", show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = _bos(tokenizer)
    return tokenizer


def wordpiece(texts: list[str]) -> Tokenizer:
    """Uncased WordPiece without [CLS] and [SEP]: spaces are not tokens."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="<unk>"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    trainer = trainers.WordPieceTrainer(vocab_size=900, special_tokens=SPECIAL, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def unsplit(texts: list[str]) -> Tokenizer:
    """Byte-level BPE over whole texts: its tokens reach across words and sentences."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    _train_bpe(tokenizer, texts, n_vocab=1500, alphabet=True)
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    return tokenizer


KINDS: dict[str, Callable[[list[str]], Tokenizer]] = {
    kind.__name__: kind
    for kind in (
        byte_level,
        byte_level_prefixed,
        line_joining,
        metaspace,
        unigram,
        wordpiece,
        unsplit,
    )
}


@pytest.fixture(scope="session")
def tokenizers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, PreTrainedTokenizerBase]:
    texts = [*pydoc_topics()[:12], *write_prose(seed=5, n_sentences=300), *[CHINESE] * 3]
    return {
        kind: _reload(train(texts), tmp_path_factory.mktemp(kind)) for kind, train in KINDS.items()
    }


def _reload(tokenizer: Tokenizer, folder: Path) -> PreTrainedTokenizerBase:
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )
    wrapped.save_pretrained(folder)
    return AutoTokenizer.from_pretrained(folder)


@pytest.fixture(params=KINDS)
def tokenizer(
    request: pytest.FixtureRequest, tokenizers: dict[str, PreTrainedTokenizerBase]
) -> PreTrainedTokenizerBase:
    return tokenizers[request.param]


@pytest.fixture(scope="session")
def haystack() -> Haystack:
    return text_haystack(write_prose(seed=11, n_sentences=400), name="prose")


@pytest.fixture(scope="session")
def needle() -> Needle:
    return Needle(
        question="What is the harbour master's password?",
        text="The harbour master's password is teal walrus 4817.",
        answer="teal walrus 4817",
    )
