"""What the prompts of a grid share, made once."""

from rh_lens.prompts.grid_request import GridRequest
from rh_lens.prompts.haystack import Haystack
from rh_lens.prompts.haystack_tokens import HaystackTokens, tokenize_haystack
from rh_lens.prompts.insertion import Stage, encode_prefix
from rh_lens.prompts.pieces import PieceEncoder
from rh_lens.prompts.template import Template


def open_stage(
    encoder: PieceEncoder,
    haystack: Haystack,
    template: Template,
    asked: GridRequest,
    offset: int,
    allow_repeat: bool,
) -> Stage:
    """What all prompts of a grid share: the haystack as tokens, and what comes before it.

    Raises:
        ValueError: The haystack has no sentences to put needles between.
    """
    before, _ = template.split("")
    haystack_tokens = tokenize_haystack(
        encoder,
        haystack,
        n_tokens=offset + max(asked.lengths),
        before=before,
        allow_repeat=allow_repeat,
    )
    if max(asked.depths) > 0:
        _check_sentences(haystack, haystack_tokens)
    return Stage(
        encoder,
        template,
        haystack,
        haystack_tokens,
        prefix=encode_prefix(encoder, before),
        start=haystack_tokens.boundary_before(offset),
    )


def _check_sentences(haystack: Haystack, haystack_tokens: HaystackTokens) -> None:
    if len(haystack_tokens.boundaries) == 1:
        raise ValueError(
            f"Expected sentences in haystack {haystack.name!r}; found no sentence boundary in its "
            f"first {len(haystack_tokens.tokens)} tokens, so every depth would be 0. Use text with "
            "full stops, or several documents."
        )
