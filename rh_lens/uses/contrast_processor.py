"""Contrasts as logits processors, for `generate` of a plain Hugging Face model."""

from typing import Any, get_args

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import DynamicCache, LogitsProcessor, PreTrainedModel

from rh_lens.checks import require_choice, require_number, require_tensor
from rh_lens.heads import HeadsLike
from rh_lens.uses.contrast import Strength, contrast, contrast_strength
from rh_lens.uses.plain_heads import head_columns, require_hf_model, scaled_columns


class _Contrast(LogitsProcessor):
    """Contrast with the same model read a second time, through a cache of its own.

    Args:
        model: A Hugging Face model.
        alpha: Factor of the strength.
        by: What the strength depends on.
    """

    def __init__(self, model: PreTrainedModel, alpha: float, by: Strength) -> None:
        require_hf_model(model)
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
        self._columns = head_columns(model, heads)

    def _other(self, tokens: list[int]) -> Float[Tensor, " d_vocab"]:
        if self._begin_unless_continued(tokens) and len(tokens) > 1:
            self._pass(tokens[:-1])
        with scaled_columns(self._columns, 0.0):
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
