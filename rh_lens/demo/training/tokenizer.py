"""The demo model's tokenizer: byte-level BPE learnt from the project's own text."""

import random
from collections.abc import Iterator

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from rh_lens.demo.training.corpus import FactWriter
from rh_lens.prompts.template import BASE_TEMPLATE

BOS, EOS, PAD = "<s>", "</s>", "<pad>"


def train_tokenizer(
    *, vocabulary: int, max_length: int, seed: int, n_lines: int = 40_000
) -> PreTrainedTokenizerFast:
    """Byte-level BPE of `vocabulary` tokens that puts one `<s>` before every text.

    Args:
        vocabulary: Tokens in all, the 256 bytes and three special tokens included.
        max_length: Longest context of the model, in tokens.
        seed: Seed of the text that the merges are learnt from.
        n_lines: Facts in that text, each with a sentence of prose and its question.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[BOS, EOS, PAD],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_lines(random.Random(seed), n_lines), trainer)
    tokenizer.post_processor = processors.Sequence(
        [
            processors.ByteLevel(trim_offsets=False),
            processors.TemplateProcessing(single=f"{BOS} $A", special_tokens=[(BOS, 0)]),
        ]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=BOS,
        eos_token=EOS,
        pad_token=PAD,
        padding_side="left",
        model_max_length=max_length,
        clean_up_tokenization_spaces=False,
    )


def word_pieces(tokenizer: PreTrainedTokenizerFast) -> list[str]:
    """The vocabulary's texts that are letters or digits, with or without a space before."""
    texts = (tokenizer.decode([token]) for token in range(len(tokenizer)))
    return [text for text in texts if text.isascii() and text.strip().isalnum()]


def _lines(rng: random.Random, n_lines: int) -> Iterator[str]:
    writer = FactWriter()
    before, after = BASE_TEMPLATE.text.split("{context}")
    for _ in range(n_lines):
        fact = writer.fact(rng)
        yield f"{before}{writer.prose.sentence(rng)} {fact.text}"
        yield after.format(question=fact.question) + f" {fact.answer}."
