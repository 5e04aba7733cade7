"""What retrieval heads do while an answer is said, token by token and over an answer."""

from collections.abc import Iterable, Sequence
from numbers import Real
from typing import Any

import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor
from tqdm.auto import tqdm

from rh_lens.checks import (
    require_flag,
    require_list,
    require_number,
    require_tensor,
    require_type,
    require_whole_number,
)
from rh_lens.detection import answer_recorder
from rh_lens.heads import Head, HeadsLike, as_heads
from rh_lens.interventions import scale_heads
from rh_lens.interventions.editing import head_counts, require_heads
from rh_lens.prompts import BASE_TEMPLATE, Template
from rh_lens.runtime import (
    Bridge,
    FwdHooks,
    eos_token_ids,
    greedy_decode,
    require_bridge,
    require_hooks,
    stop_rule,
    teacher_force,
)
from rh_lens.uses.asked_document import AskedDocument, ask_document
from rh_lens.uses.citation_cases import CitationCase
from rh_lens.uses.copied_tokens import answer_pieces, copy_votes, is_content

HEAD_FEATURES = ("copies", "context_mass", "sink_mass", "attention_entropy")
"""What the heads do: see `answer_features`."""
BASELINES = ("probability", "prediction_entropy")
"""What the model's prediction says by itself, without a look at heads."""


def answer_features(
    model: Bridge,
    asked: AskedDocument,
    said: Int[Tensor, " step"],
    heads: HeadsLike,
    *,
    hooks: FwdHooks = (),
) -> pd.DataFrame:
    """Activity of some heads at each token of an answer, which is fed after its prompt.

    Args:
        model: A TransformerBridge.
        asked: Document and question, from `ask_document`.
        said: Token ids of the answer, such as those of `greedy_decode`.
        heads: Retrieval heads, in any notation of `as_heads`; one or more.
        hooks: Forward hooks while the answer is fed.

    Returns:
        One row a token: `step`, `token_id`, `token`, `start`, `stop`, `content` (it has a letter or
        a digit); means over the heads: `copies` (share that looked at this token in the document,
        see `copy_votes`: the place with most), `context_mass` (attention on the document),
        `sink_mass` (on the first token of the prompt), `attention_entropy` (in nats); and of the
        prediction: `probability` of the token, `prediction_entropy` (in nats).

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: There is no such head or no token, or prompt and answer do not fit.

    Examples:
        >>> asked = ask_document(tokenizer, "The key is under the blue mat.", "Where is the key?")
        >>> said = tokenizer(" the blue mat", return_tensors="pt", add_special_tokens=False)
        >>> table = answer_features(model, asked, said.input_ids[0], heads)
        >>> table["token"].tolist()
        [' the', ' blue', ' m', 'at']
    """
    require_bridge(model)
    require_type("asked", asked, AskedDocument, remedy="Make it with ask_document.")
    require_tensor("said", said, ("step",), whole=True)
    require_hooks("hooks", hooks)
    chosen = chosen_heads(model, heads)
    recorder = answer_recorder(model, asked.prompt)
    entropies = _Entropies(chosen)
    listening = [*recorder.fwd_hooks(), *entropies.fwd_hooks()]
    prompt = asked.prompt.tokens
    logits = teacher_force(model, prompt, said, decode_hooks=[*hooks, *listening])
    sources = recorder.result().answer_rows(len(prompt), len(said))
    tokenizer = model.tokenizer
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
        attention_entropy=entropies.result().tolist(),
        probability=logp.gather(1, said.cpu()[:, None])[:, 0].exp().tolist(),
        prediction_entropy=(-(logp.exp() * logp).sum(dim=-1)).tolist(),
    )


def monitored_answers(
    model: Bridge,
    cases: Iterable[CitationCase],
    heads: HeadsLike,
    *,
    weakened: Sequence[float] = (1.0,),
    template: Template = BASE_TEMPLATE,
    max_new_tokens: int = 16,
    progress: bool = True,
) -> pd.DataFrame:
    """Greedy answers about documents, whether each is wrong, and the mean of its features.

    Args:
        model: A TransformerBridge.
        cases: From `citation_cases`; where the document has no answer, every answer is wrong.
        heads: Retrieval heads.
        weakened: Factors on the heads' outputs while an answer is said: more ways to be wrong.
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
    require_bridge(model)
    require_whole_number("max_new_tokens", max_new_tokens, at_least=1)
    require_flag("progress", progress)
    cases = require_list("cases", cases, CitationCase, at_least=1)
    factors = require_list("weakened", weakened, Real, at_least=1)
    for factor in factors:
        require_number("weakened", factor)
    chosen, stop = chosen_heads(model, heads), stop_rule(model.tokenizer, eos=eos_token_ids(model))
    rows = []
    for case in tqdm(cases, desc="answering", disable=not progress):
        asked = ask_document(
            model.tokenizer, case.document, case.needle.question, template=template
        )
        for factor in factors:
            hooks = [] if factor == 1 else scale_heads(chosen, float(factor), model=model)
            said = greedy_decode(
                model,
                asked.prompt.tokens,
                max_new_tokens=max_new_tokens,
                stop=stop,
                decode_hooks=hooks,
            )
            if len(said.tokens):
                features = answer_features(model, asked, said.tokens, chosen, hooks=hooks)
                rows.append(_row(case, float(factor), said.text) | _means(features))
    return pd.DataFrame(rows)


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


def chosen_heads(model: Bridge, heads: HeadsLike) -> tuple[Head, ...]:
    """The model's heads of any notation, one or more.

    Raises:
        TypeError: They are no heads.
        ValueError: There is none, or not in the model.
    """
    chosen = as_heads(heads)
    remedy = "Pass retrieval heads, such as result.heads()."
    require_list("heads", chosen, Head, at_least=1, remedy=remedy)
    require_heads(chosen, head_counts(model))
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
        return [(f"blocks.{layer}.attn.hook_pattern", self._keep) for layer in self._own]

    def result(self) -> Float[Tensor, " row"]:
        """Mean over the heads, in nats."""
        return torch.cat([torch.cat(rows, dim=1) for rows in self._kept.values()]).mean(dim=0)

    def _keep(self, pattern: Float[Tensor, "batch head row key"], hook: Any) -> None:
        rows = pattern[0, self._own[hook.layer()]].float()
        self._kept[hook.layer()].append(torch.special.entr(rows).sum(dim=-1).cpu())
