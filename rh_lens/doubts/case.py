"""What is on trial: a model, the heads that are said to retrieve, and prompts to test them on."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from rh_lens.checks import require_list, require_seed, require_type, require_whole_number
from rh_lens.detection import RetrievalResult, detect_retrieval_heads, room_for_answers
from rh_lens.doubts.heads_given import heads_in_question
from rh_lens.doubts.nulls import with_other_needles
from rh_lens.doubts.recording import AnswerRows, record_trials
from rh_lens.heads import Head, HeadsLike
from rh_lens.prompts import (
    BASE_TEMPLATE,
    Haystack,
    Needle,
    NeedlePrompt,
    Template,
    build_grid,
    default_needles,
    evaluation_needles,
    synthetic_haystack,
)
from rh_lens.runtime import Bridge

_MADE_WITH = "Make it with doubt_case(model, heads)."


@dataclass(frozen=True, eq=False)
class DoubtCase:
    """A model, the heads in question, and prompts of needles that they were not found with.

    Args:
        model: A TransformerBridge.
        heads: The heads in question, best first.
        prompts: Prompts that also hold another needle as a distractor.
        needles: The needles, without distractors.
        haystack: What they are hidden in.
        prose: Other text, for what has nothing to do with retrieval.
        template: The text around the haystack.
        seed: Of all draws.
    """

    model: Bridge
    heads: tuple[Head, ...]
    prompts: tuple[NeedlePrompt, ...]
    needles: tuple[Needle, ...]
    haystack: Haystack
    prose: Haystack
    template: Template = BASE_TEMPLATE
    seed: int = 0

    def __repr__(self) -> str:
        heads = ", ".join(head.label for head in self.heads[:6])
        return (
            f"DoubtCase({heads}; {len(self.prompts)} prompts of {len(self.needles)} needles, "
            f"{max(one.context_length for one in self.prompts)} tokens)"
        )

    @property
    def labels(self) -> str:
        """The heads as text."""
        shown = ", ".join(head.label for head in self.heads[:8])
        return shown if len(self.heads) <= 8 else f"{shown} and {len(self.heads) - 8} more"

    @cached_property
    def result(self) -> RetrievalResult:
        """Detection on these prompts.

        Raises:
            NoAcceptedTrialsError: The model retrieves none of these needles.
        """
        return detect_retrieval_heads(self.model, self.prompts, progress=False)

    @cached_property
    def reference(self) -> list[NeedlePrompt]:
        """Prompts of needles that are not asked about, for means and donors."""
        needles = [one for one in default_needles() if one not in self.needles][:6]
        length = min(one.context_length for one in self.prompts)
        return build_grid(
            self.model.tokenizer,
            self.haystack,
            needles,
            context_lengths=length,
            depths=1,
            template=self.template,
            n_distractors=0,
        )

    @cached_property
    def rows(self) -> list[AnswerRows]:
        """Where every head looked while the accepted answers were said."""
        return record_trials(self.model, self.result.accepted)


def doubt_case(
    model: Bridge,
    heads: HeadsLike,
    *,
    needles: Sequence[Needle] | None = None,
    haystack: Haystack | None = None,
    prose: Haystack | None = None,
    template: Template = BASE_TEMPLATE,
    context_length: int = 256,
    n_depths: int = 2,
    seed: int = 0,
) -> DoubtCase:
    """A case for `run_doubts`, with prompts of needles that the heads were not found with.

    Args:
        model: A TransformerBridge.
        heads: The heads in question, best first, such as `result.heads()`.
        needles: Two or more. None: `evaluation_needles()`, which detection does not use.
        haystack: What they are hidden in. None: `synthetic_haystack(seed=seed)`.
        prose: Text of which perplexity is measured. None: synthetic text of another seed.
        template: The text around the haystack.
        context_length: Tokens in a prompt.
        n_depths: Depths of each needle.
        seed: Of the haystack and all draws.

    Raises:
        TypeError: An argument is of another type.
        ValueError: There are no heads, they are not the model's, or no prompt can be built.

    Examples:
        >>> short = {"context_length": 128, "n_depths": 1}
        >>> case = doubt_case(model, heads, needles=evaluation_needles()[:2], **short)
        >>> len(case.prompts), case.labels
        (2, 'L2H2, L2H3, L2H4, L2H5')
    """
    require_seed("seed", seed)
    chosen = heads_in_question(model, heads)
    most = int(model.cfg.n_ctx) - room_for_answers(())
    require_whole_number("context_length", context_length, at_least=1, at_most=most)
    require_whole_number("n_depths", n_depths, at_least=1, at_most=1000)
    own = evaluation_needles() if needles is None else needles
    given = require_list("needles", own, Needle, at_least=2)
    hay = synthetic_haystack(seed=seed) if haystack is None else haystack
    text = synthetic_haystack(seed=seed + 2) if prose is None else prose
    require_type("prose", text, Haystack, remedy="Make one with synthetic_haystack().")
    prompts = build_grid(
        model.tokenizer,
        hay,
        with_other_needles(given),
        context_lengths=context_length,
        depths=n_depths,
        template=template,
        max_context=most,
    )
    return DoubtCase(model, chosen, tuple(prompts), given, hay, text, template, seed)


def require_case(case: object) -> None:
    """Refuse what is no case.

    Raises:
        TypeError: It is something else.
    """
    require_type("case", case, DoubtCase, remedy=_MADE_WITH)
