"""What retrieval heads do while an answer is said, token by token and over an answer."""

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from numbers import Real
from typing import Any

import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor
from tqdm.auto import tqdm
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from rh_lens.checks import (
    require_flag,
    require_list,
    require_number,
    require_tensor,
    require_type,
    require_whole_number,
)
from rh_lens.detection import AttentionSources, answer_recorder
from rh_lens.heads import Head, HeadsLike, as_heads
from rh_lens.interventions import scale_heads
from rh_lens.interventions.editing import require_heads
from rh_lens.prompts import BASE_TEMPLATE, Template
from rh_lens.runtime import (
    Bridge,
    FwdHooks,
    StopRule,
    greedy_decode,
    require_hooks,
    teacher_force,
)
from rh_lens.uses.asked_document import AskedDocument, ask_document
from rh_lens.uses.citation_cases import CitationCase
from rh_lens.uses.copied_tokens import answer_pieces, copy_votes, is_content
from rh_lens.uses.listened_answers import (
    fed_answer,
    heads_of_layers,
    is_plain,
    plain_answer,
    tokenizer_of,
    usual_stop,
)
from rh_lens.uses.model_shape import hf_model_of
from rh_lens.uses.plain_heads import head_columns, scaled_columns

HEAD_FEATURES = ("copies", "context_mass", "sink_mass", "attention_entropy")
"""What the heads do: see `answer_features`."""
BASELINES = ("probability", "prediction_entropy")
"""What the model's prediction says by itself, without a look at heads."""


def answer_features(
    model: PreTrainedModel | Bridge,
    asked: AskedDocument,
    said: Int[Tensor, " step"],
    heads: HeadsLike,
    *,
    hooks: FwdHooks = (),
) -> pd.DataFrame:
    """Activity of some heads at each token of an answer, which is fed after its prompt.

    Args:
        model: A TransformerBridge, or a Hugging Face model for causal language modelling.
        asked: Document and question, from `ask_document`.
        said: Token ids of the answer, such as those of `greedy_decode`.
        heads: Retrieval heads, in any notation of `as_heads`; one or more.
        hooks: Forward hooks on a bridge while the answer is fed.

    Returns:
        One row a token: `step`, `token_id`, `token`, `start`, `stop`, `content` (it has a letter or
        a digit); means over the heads: `copies` (share that looked at this token in the document,
        see `copy_votes`: the place with most), `context_mass` (attention on the document),
        `sink_mass` (on the first token of the prompt), `attention_entropy` (in nats); and of the
        prediction: `probability` of the token, `prediction_entropy` (in nats).

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: There is no such head or no token, prompt and answer do not fit, or a Hugging
            Face model can't be read in pieces or is given hooks.

    Examples:
        >>> asked = ask_document(tokenizer, "The key is under the blue mat.", "Where is the key?")
        >>> said = tokenizer(" the blue mat", return_tensors="pt", add_special_tokens=False)
        >>> table = answer_features(model, asked, said.input_ids[0], heads)
        >>> table["token"].tolist()
        [' the', ' blue', ' m', 'at']
    """
    hf_model_of(model)
    require_type("asked", asked, AskedDocument, remedy="Make it with ask_document.")
    require_tensor("said", said, ("step",), whole=True)
    require_hooks("hooks", hooks)
    chosen = chosen_heads(model, heads)
    if hooks and is_plain(model):
        raise ValueError(
            f"Expected hooks with a TransformerBridge only; found {len(hooks)} with "
            f"{type(model).__name__}. Leave them out, or pass a bridge."
        )
    return _features(asked, said, chosen, *_fed(model, asked, said, chosen, hooks))


def _features(
    asked: AskedDocument,
    said: Int[Tensor, " step"],
    chosen: Sequence[Head],
    logits: Float[Tensor, "step d_vocab"],
    sources: AttentionSources,
    entropies: Float[Tensor, " step"],
) -> pd.DataFrame:
    """The table of `answer_features`."""
    prompt, tokenizer = asked.prompt.tokens, asked.prompt.tokenizer
    assert tokenizer is not None
    votes = copy_votes(
        sources,
        chosen,
        [1.0] * len(chosen),
        [tokenizer.decode([one]) for one in prompt.tolist()],
        [tokenizer.decode([one]) for one in said.tolist()],
        asked.span,
    )
    layers = [sources.layers.index(head.layer) for head in chosen]
    own = [head.head for head in chosen]
    logp = logits.float().log_softmax(dim=-1).cpu()
    pieces = answer_pieces(tokenizer, said)
    return pieces.assign(
        content=[is_content(token) for token in pieces["token"]],
        copies=[support for _, support in votes],
        context_mass=sources.require_needle_mass()[:, layers, own].mean(dim=1).tolist(),
        sink_mass=sources.sink_mass[:, layers, own].mean(dim=1).tolist(),
        attention_entropy=entropies.tolist(),
        probability=logp.gather(1, said.cpu()[:, None])[:, 0].exp().tolist(),
        prediction_entropy=(-(logp.exp() * logp).sum(dim=-1)).tolist(),
    )


def _fed(
    model: PreTrainedModel | Bridge,
    asked: AskedDocument,
    said: Int[Tensor, " step"],
    heads: Sequence[Head],
    hooks: FwdHooks = (),
    saying: AbstractContextManager[None] | None = None,
) -> tuple[Float[Tensor, "step d_vocab"], AttentionSources, Float[Tensor, " step"]]:
    """Logits, sources and mean entropy of the heads in the rows that predict an answer's tokens."""
    entropies = _Entropies(heads)
    if is_plain(model):
        logits, sources, attentions = fed_answer(model, asked.prompt, said, saying=saying)
        for layer in entropies.layers:
            entropies.keep(layer, attentions[layer])
        return logits, sources, entropies.result()
    recorder = answer_recorder(model, asked.prompt)
    listening = [*recorder.fwd_hooks(), *entropies.fwd_hooks()]
    prompt = asked.prompt.tokens
    logits = teacher_force(model, prompt, said, decode_hooks=[*hooks, *listening])
    return logits, recorder.result().answer_rows(len(prompt), len(said)), entropies.result()


def monitored_answers(
    model: PreTrainedModel | Bridge,
    cases: Iterable[CitationCase],
    heads: HeadsLike,
    *,
    weakened: Sequence[float] = (1.0,),
    tokenizer: PreTrainedTokenizerBase | None = None,
    template: Template = BASE_TEMPLATE,
    max_new_tokens: int = 16,
    progress: bool = True,
) -> pd.DataFrame:
    """Greedy answers about documents, whether each is wrong, and the mean of its features.

    Args:
        model: A TransformerBridge, or a Hugging Face model for causal language modelling.
        cases: From `citation_cases`; where the document has no answer, every answer is wrong.
        heads: Retrieval heads.
        weakened: Factors on the heads' outputs while an answer is said: more ways to be wrong.
        tokenizer: A fast tokenizer; None takes a bridge's own.
        template: The text around document and question.
        max_new_tokens: Longest answer.
        progress: Whether to show a progress bar.

    Returns:
        One row a case and factor: `kind`, `needle`, `weakened`, `wrong`, `text`, and each of
        `HEAD_FEATURES` and `BASELINES`, its mean over the tokens with letters or digits, or over
        all tokens where none has. Empty answers are left out.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: There is no case or no such head, or a number is out of range.

    Examples:
        >>> cases = citation_cases(haystack, evaluation_needles()[:1])[:1]
        >>> monitored_answers(model, cases, heads, progress=False)["wrong"].tolist()
        [False]
    """
    tokenizer = tokenizer_of(model, tokenizer)
    require_whole_number("max_new_tokens", max_new_tokens, at_least=1)
    require_flag("progress", progress)
    cases = require_list("cases", cases, CitationCase, at_least=1)
    factors = require_list("weakened", weakened, Real, at_least=1)
    for factor in factors:
        require_number("weakened", factor)
    chosen, stop = chosen_heads(model, heads), usual_stop(model, tokenizer)
    rows = []
    for case in tqdm(cases, desc="answering", disable=not progress):
        asked = ask_document(tokenizer, case.document, case.needle.question, template=template)
        for factor in map(float, factors):
            found = _watched(model, asked, chosen, factor, max_new_tokens, stop)
            if found is not None:
                text, features = found
                rows.append(_row(case, factor, text) | _means(features))
    return pd.DataFrame(rows)


def _watched(
    model: PreTrainedModel | Bridge,
    asked: AskedDocument,
    heads: Sequence[Head],
    factor: float,
    max_new_tokens: int,
    stop: StopRule,
) -> tuple[str, pd.DataFrame] | None:
    """An answer of a model with weakened heads, and its features; None where it says nothing."""
    if is_plain(model):
        columns = head_columns(model, heads) if factor != 1 else []
        weak = partial(scaled_columns, columns, factor)
        said, _ = plain_answer(model, asked.prompt, max_new_tokens, stop, saying=weak())
        acting: dict[str, Any] = {"saying": weak()}
    else:
        acting = {"hooks": [] if factor == 1 else scale_heads(heads, factor, model=model)}
        said = greedy_decode(
            model,
            asked.prompt.tokens,
            max_new_tokens=max_new_tokens,
            stop=stop,
            decode_hooks=acting["hooks"],
        )
    if not len(said.tokens):
        return None
    fed = _fed(model, asked, said.tokens, heads, **acting)
    return said.text, _features(asked, said.tokens, heads, *fed)


def _row(case: CitationCase, factor: float, text: str) -> dict[str, Any]:
    has_answer = case.answer_span is not None
    right = has_answer and any(one.casefold() in text.casefold() for one in case.needle.answers)
    return {
        "kind": case.kind,
        "needle": case.needle.name,
        "weakened": factor,
        "wrong": not right,
        "text": text,
    }


def _means(features: pd.DataFrame) -> dict[str, float]:
    content = features[features["content"]]
    rows = content if len(content) else features
    return {name: float(rows[name].mean()) for name in (*HEAD_FEATURES, *BASELINES)}


def chosen_heads(model: PreTrainedModel | Bridge, heads: HeadsLike) -> tuple[Head, ...]:
    """The model's heads of any notation, one or more.

    Raises:
        TypeError: They are no heads.
        ValueError: There is none, or not in the model.
    """
    chosen = as_heads(heads)
    remedy = "Pass retrieval heads, such as result.heads()."
    require_list("heads", chosen, Head, at_least=1, remedy=remedy)
    require_heads(chosen, heads_of_layers(model))
    return chosen


class _Entropies:
    """Entropy of the attention of some heads, in every row of every pass.

    Args:
        heads: Which ones.
    """

    def __init__(self, heads: Sequence[Head]) -> None:
        self._own: dict[int, list[int]] = {}
        for head in heads:
            self._own.setdefault(head.layer, []).append(head.head)
        self._kept: dict[int, list[Tensor]] = {layer: [] for layer in self._own}

    def fwd_hooks(self) -> FwdHooks:
        """Hooks that observe only."""
        return [(f"blocks.{layer}.attn.hook_pattern", self._hook) for layer in self._own]

    def result(self) -> Float[Tensor, " row"]:
        """Mean over the heads, in nats."""
        return torch.cat([torch.cat(rows, dim=1) for rows in self._kept.values()]).mean(dim=0)

    @property
    def layers(self) -> tuple[int, ...]:
        """Layers that the heads are in."""
        return tuple(self._own)

    def keep(self, layer: int, pattern: Float[Tensor, "batch head row key"]) -> None:
        """Take one pass of a layer."""
        rows = pattern[0, self._own[layer]].float()
        self._kept[layer].append(torch.special.entr(rows).sum(dim=-1).cpu())

    def _hook(self, pattern: Float[Tensor, "batch head row key"], hook: Any) -> None:
        self.keep(hook.layer(), pattern)
