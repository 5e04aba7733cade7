"""Results of any size for the page, made without a model."""

from functools import cache

import pandas as pd
import torch

from rh_lens.detection import CopyEvents, RetrievalResult, RetrievalScores, Trial
from rh_lens.evaluation import AblationTables
from rh_lens.prompts import Needle, NeedlePrompt

HOSTILE = (
    "</script><script>document.title = 'broken'</script><img src=x onerror=document.title='broken'>"
    "<!-- \u202e\u2028 & \" ' `${1}`"
)


@cache
def page_prompt(needle: Needle, length: int, depth: float, *, stored: bool = False) -> NeedlePrompt:
    """A prompt of ids 2, 3, 4, ...; its answer is 3 tokens, 2 tokens behind the needle's start."""
    tokens = torch.arange(2, length + 2)
    first = round(depth * (length - 6))
    answer = (first + 2, first + 5)
    if stored:
        tokens = torch.full((length,), -1)
        tokens[slice(*answer)] = torch.tensor([7, 8, 9])
    return NeedlePrompt(
        tokens=tokens,
        answer_span=answer,
        needle_span=(first, first + 6),
        needle=needle,
        context_length=length,
        requested_depth=depth,
        depth=depth,
        haystack_name="none",
        haystack_sha256="0" * 64,
        haystack_start=0,
        haystack_repeats=1,
        template_name="base",
    )


def page_trial(index: int, prompt: NeedlePrompt, shape: tuple[int, int], text: str) -> Trial:
    """A trial whose answer is right unless its index is a multiple of five."""
    accepted = bool(index % 5)
    return Trial(
        index=index,
        prompt=prompt,
        tokens=prompt.answer_tokens,
        # Half of a character: a model can say it, a file can't hold it.
        text=f"{text} \ud800",
        stop_reason="eos",
        accepted=accepted,
        reason="accepted" if accepted else f"said {text}",
        recall=1.0 if accepted else 0.0,
        recall_measure="rouge1",
        visible=torch.ones(shape, dtype=torch.bool),
        attention_mass=torch.zeros(shape, dtype=torch.float64),
    )


def page_events(trials: list[Trial], head: tuple[int, int], token: str) -> CopyEvents:
    """Events of one head, which copies all but the last answer token of right trials."""
    rows = [
        {
            "trial": trial.index,
            "step": step,
            "layer": head[0],
            "head": head[1],
            "source": trial.prompt.answer_span[0] + step,
            "answer_offset": step,
            "token_id": int(trial.tokens[step]),
            "token": token,
            "weight": 0.75,
            "margin": 0.5,
            "needle_mass": 0.875,
            "sink_mass": 0.0625,
        }
        for trial in trials
        if trial.accepted
        for step in range(2)
    ]
    empty = CopyEvents.join([]).table
    return CopyEvents(pd.DataFrame(rows).astype(empty.dtypes.to_dict()))


def page_result(
    *,
    n_trials: int = 20,
    shape: tuple[int, int] = (3, 4),
    text: str = "a violet otter",
    n_kv_heads: int = 2,
    nan: bool = True,
    stored: bool = False,
) -> RetrievalResult:
    """A result in which the last head scores 2/3 and head 0 of layer 0 has no score."""
    needles = [Needle(f"{text}? {k}", f"It is {text} {k}.", f"{text} {k}") for k in range(3)]
    trials = [
        page_trial(
            index,
            page_prompt(
                needles[index % 3], 60 + 10 * (index % 7), (index % 11) / 10, stored=stored
            ),
            shape,
            text,
        )
        for index in range(n_trials)
    ]
    right = [trial for trial in trials if trial.accepted]
    values = torch.zeros((len(right), *shape), dtype=torch.float64)
    values[:, -1, -1] = 2 / 3
    if nan:
        values[:, 0, 0] = torch.nan
    scores = RetrievalScores(values, "position", tuple(trial.index for trial in right))
    events = page_events(trials, (shape[0] - 1, shape[1] - 1), text)
    return RetrievalResult(scores, events, tuple(trials), 0.1, shape[1], n_kv_heads)


def page_ablation() -> AblationTables:
    """Two silenced heads take recall from 1 to 0.125, two others leave it at 0.9375."""
    nan = float("nan")
    curve = pd.DataFrame(
        {
            "k": [0, 1, 2],
            "top": [1.0, 0.5, 0.125],
            "top_low": [0.75, 0.25, 0.0],
            "top_high": [1.0, 0.75, 0.3125],
            "change": [nan, -0.5, -0.875],
            "change_low": [nan, -0.75, -1.0],
            "change_high": [nan, 0.0, -0.5],
            "p_untouched": [nan, 0.25, 0.0005],
            "p_heads": [nan, 0.5, 0.05],
            "n_sets": [1, 4, 6],
            "n_rankings": 19,
            "n_needles": 6,
            "n_prompts": 12,
            "metric": "recall",
            "level": 0.95,
        }
    )
    controls = pd.DataFrame(
        {
            "k": [1, 2],
            "match": ["layer", "layer"],
            "control": [nan, 0.9375],
            "control_lowest": [nan, 0.875],
            "control_highest": [nan, 1.0],
            "difference": [nan, -0.8125],
            "n_draws": [0, 3],
            "margin": 0.1,
        }
    )
    answers = pd.DataFrame(
        {
            "kind": ["none", "none", "top", "top"],
            "k": [0, 0, 2, 2],
            "match": None,
            "context_length": [64, 128] * 2,
            "requested_depth": [0.0, 1.0] * 2,
            "recall": [1.0, 1.0, 0.25, 0.0],
            "retrieved": [True, True, False, False],
        }
    )
    return AblationTables(curve, controls, answers)
