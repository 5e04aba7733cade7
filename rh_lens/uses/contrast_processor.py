"""Contrasts as logits processors, for `generate` of a plain Hugging Face model."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeAlias, get_args

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import DynamicCache, LogitsProcessor, PreTrainedModel

from rh_lens.checks import refusal, require_choice, require_number, require_tensor
from rh_lens.heads import HeadsLike, as_heads
from rh_lens.uses.contrast import Strength, contrast, contrast_strength
from rh_lens.uses.head_weights import head_weights

_Columns: TypeAlias = list[tuple[torch.nn.Module, list[tuple[int, int]]]]


class _Contrast(LogitsProcessor):
    """Contrast with the same model read a second time, through a cache of its own.

    Args:
        model: A Hugging Face model.
        alpha: Factor of the strength.
        by: What the strength depends on.
    """

    def __init__(self, model: PreTrainedModel, alpha: float, by: Strength) -> None:
        _require_hf_model(model)
        require_number("alpha", alpha, at_least=0)
        require_choice("by", by, get_args(Strength))
        self.model, self.alpha, self.by = model, alpha, by
        self._read: list[int] = []
        self._cache: Any = None

    def __call__(
        self, input_ids: Int[Tensor, "batch pos"], scores: Float[Tensor, "batch d_vocab"]
    ) -> Float[Tensor, "batch d_vocab"]:
        """The contrasted scores."""
        if self.alpha == 0:
            return scores
        if len(input_ids) != 1:
            raise ValueError(
                f"Expected one answer at a time; found a batch of {len(input_ids)}. Generate the "
                "answers one after the other, without beams."
            )
        other = self._other(input_ids[0].tolist()).to(scores.device, torch.float32)
        base = scores.float()
        return contrast(base, other[None], contrast_strength(base, self.alpha, self.by))

    def _other(self, tokens: list[int]) -> Float[Tensor, " d_vocab"]:
        raise NotImplementedError

    def _begin_unless_continued(self, tokens: list[int]) -> bool:
        """Whether the tokens are another prompt than before; then nothing has been read of it."""
        continued = bool(self._read) and tokens[:-1] == self._read
        if not continued:
            self._cache = DynamicCache(config=self.model.config)
        self._read = list(tokens)
        return not continued

    @torch.no_grad()
    def _pass(self, tokens: list[int]) -> Float[Tensor, " d_vocab"]:
        """Logits behind the last of some tokens, which are then in the cache."""
        ids = torch.tensor([tokens], device=self.model.device)
        output = self.model(ids, past_key_values=self._cache, use_cache=True, logits_to_keep=1)
        return output.logits[0, -1]


class HeadContrast(_Contrast):
    r"""Logits processor that contrasts a model with itself without its retrieval heads (DeCoRe).

    $(1 + \alpha_t)\,\ell - \alpha_t\,\ell'$ with $\ell'$ of the model whose heads are silent from
    the prompt's last token on, see `contrast_decode` (arXiv:2410.18860). It reads the prompt once
    more and takes a second pass a token; `contrast_decode` does with one. Make it the first of the
    processors, and use a new prompt whenever you like::

        processor = HeadContrast(model, heads)
        model.generate(tokens, logits_processor=[processor], do_sample=False)

    Args:
        model: A Hugging Face model for causal language modelling.
        heads: Query heads, in any notation of `as_heads`.
        alpha: Factor of the strength, 0 or more; with 0 scores come back as they are.
        by: "entropy" or "static".

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: There is no such head, the model's projections are of an unknown layout, or
            alpha is negative. A batch of several prompts is refused when it is called.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        heads: HeadsLike,
        *,
        alpha: float = 1.0,
        by: Strength = "entropy",
    ) -> None:
        super().__init__(model, alpha, by)
        self._columns = _columns(model, heads)

    def _other(self, tokens: list[int]) -> Float[Tensor, " d_vocab"]:
        if self._begin_unless_continued(tokens) and len(tokens) > 1:
            self._pass(tokens[:-1])
        with _silenced(self._columns):
            return self._pass(tokens[-1:])


class ContextContrast(_Contrast):
    """Logits processor that contrasts a prompt with the same one without its context (CAD).

    Context-aware decoding (Shi et al. 2023, arXiv:2305.14739); see `context_aware_decode`::

        processor = ContextContrast(model, question_alone)
        model.generate(tokens, logits_processor=[processor], do_sample=False)

    Args:
        model: A Hugging Face model for causal language modelling.
        without: Token ids of the prompt without its context.
        alpha: Strength, 0 or more; with 0 scores come back as they are.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: Alpha is negative or there is no token. A batch of several prompts is refused
            when it is called.
    """

    def __init__(
        self, model: PreTrainedModel, without: Int[Tensor, " pos"], *, alpha: float = 0.5
    ) -> None:
        super().__init__(model, alpha, "static")
        require_tensor("without", without, ("pos",), whole=True)
        self.without = without.tolist()

    def _other(self, tokens: list[int]) -> Float[Tensor, " d_vocab"]:
        new = self._begin_unless_continued(tokens)
        return self._pass(self.without if new else tokens[-1:])


@contextmanager
def silent_heads(model: PreTrainedModel, heads: HeadsLike) -> Iterator[None]:
    """Context in which heads of a plain Hugging Face model add nothing: their outputs are 0.

    Args:
        model: A Hugging Face model for causal language modelling.
        heads: Query heads, in any notation of `as_heads`.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: There is no such head, or the model's projections are of an unknown layout.

    Examples:
        >>> from transformers import AutoModelForCausalLM
        >>> from rh_lens.demo import DEMO_MODEL_FOLDER
        >>> hf_model = AutoModelForCausalLM.from_pretrained(DEMO_MODEL_FOLDER)
        >>> with silent_heads(hf_model, ["L2H4", "L2H5"]):
        ...     logits = hf_model(prompt.tokens[None]).logits
    """
    with _silenced(_columns(model, heads)):
        yield


def _columns(model: PreTrainedModel, heads: HeadsLike) -> _Columns:
    """Where the heads' outputs stand in the input of each layer's output projection."""
    _require_hf_model(model)
    weights = head_weights(model.config, dict(model.named_parameters(remove_duplicate=False)))
    chosen = as_heads(heads)
    weights.require(chosen)
    columns: dict[str, list[tuple[int, int]]] = {}
    for head in chosen:
        place = weights.slices(head, "o")[0]
        columns.setdefault(place.name.rpartition(".")[0], []).append((place.start, place.stop))
    return [(model.get_submodule(name), spans) for name, spans in columns.items()]


@contextmanager
def _silenced(columns: _Columns) -> Iterator[None]:
    handles = [
        module.register_forward_pre_hook(partial(_silence, spans)) for module, spans in columns
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _silence(spans: list[tuple[int, int]], module: object, inputs: tuple[Tensor, ...]) -> Any:
    """The input of an output projection with some heads' part set to 0."""
    z = inputs[0].clone()
    for start, stop in spans:
        z[..., start:stop] = 0
    return (z, *inputs[1:])


def _require_hf_model(model: object) -> None:
    if not isinstance(model, PreTrainedModel) or not hasattr(model, "generate"):
        wanted = "a Hugging Face model for causal language modelling"
        remedy = "Load one with AutoModelForCausalLM.from_pretrained(...)."
        raise TypeError(refusal("model", wanted, model, remedy))
