"""What chosen heads looked at while an answer went wrong."""

from collections.abc import Mapping, Sequence
from numbers import Integral

import numpy as np
import pandas as pd
from jaxtyping import Int
from torch import Tensor

from rh_lens.checks import require_list
from rh_lens.prompts import NeedlePrompt


def first_failing_step(said: Sequence[int], answer: Sequence[int]) -> int:
    """The first step at which an answer departs from the needle's, token by token from its start.

    Args:
        said: Generated token ids.
        answer: Token ids of the needle's answer.

    Returns:
        Index of the first token said that is not the answer's token at this place, or is after the
        answer's end; the number of tokens said where there is none.

    Raises:
        TypeError: One of them is no list of whole numbers.

    Examples:
        >>> first_failing_step([5, 6, 9], answer=[5, 6, 7, 8])
        2
    """
    require_list("said", said, Integral)
    require_list("answer", answer, Integral)
    return _first_departure(said, answer)


def _first_departure(said: Sequence[int], answer: Sequence[int]) -> int:
    pairs = zip(said, answer, strict=False)
    departures = (step for step, (here, there) in enumerate(pairs) if here != there)
    return next(departures, min(len(said), len(answer)))


def looked_at(
    activity: pd.DataFrame,
    tokens: Mapping[tuple[str, int], Int[Tensor, " _"]],
    prompts: Sequence[NeedlePrompt],
) -> pd.DataFrame:
    """What the recorded heads looked at, over the failing steps and the heads of each answer.

    The failing steps of an answer are those from `first_failing_step` on: the ones before it said
    what the needle's answer says.

    Args:
        activity: Columns `ACTIVITY_COLUMNS`.
        tokens: Generated token ids by condition and trial.
        prompts: The prompts, by trial.

    Returns:
        One row for each of `tokens`, in their order: `condition`, `trial`, `n_failing` (failing
        steps), `active_on_needle` (share of their rows whose source is in the needle's answer),
        `active_elsewhere` (share whose source is in the prompt but not in the answer, and holds the
        very token said) and `sink_mass` (mean attention on the first token); the last three are NaN
        where no step fails, or none was recorded.
    """
    answers = _Answers(tokens, prompts)
    index = pd.MultiIndex.from_tuples(list(tokens), names=["condition", "trial"])
    place = index.get_indexer(pd.MultiIndex.from_frame(activity[["condition", "trial"]]))
    step = activity["step"].to_numpy()
    fails = (place >= 0) & (step >= answers.first_failing[place])
    place, step = place[fails], step[fails]
    source = activity["source"].to_numpy()[fails]
    on_answer = (source >= answers.answer_start[place]) & (source < answers.answer_stop[place])
    # After the prompt come the tokens said before.
    in_prompt = source < answers.n_prompt[place]
    there = answers.prompt_tokens[answers.prompt_start[place] + np.where(in_prompt, source, 0)]
    on_said = in_prompt & (there == answers.said[answers.said_start[place] + step])
    n_rows = np.bincount(place, minlength=len(index))
    values = {
        "active_on_needle": on_answer,
        "active_elsewhere": on_said & ~on_answer,
        "sink_mass": activity["sink_mass"].to_numpy(dtype=np.float64)[fails],
    }
    table = index.to_frame(index=False)
    table["n_failing"] = answers.n_said - answers.first_failing
    for name, rows in values.items():
        sums = np.bincount(place, weights=rows, minlength=len(index))
        table[name] = np.divide(sums, n_rows, out=np.full(len(index), np.nan), where=n_rows > 0)
    return table


class _Answers:
    """Answers and their prompts, end to end; the other arrays have one number an answer.

    Args:
        tokens: Generated token ids by condition and trial.
        prompts: The prompts, by trial.
    """

    def __init__(
        self,
        tokens: Mapping[tuple[str, int], Int[Tensor, " _"]],
        prompts: Sequence[NeedlePrompt],
    ) -> None:
        trials = np.array([trial for _, trial in tokens], dtype=np.int64)
        said = [generated.tolist() for generated in tokens.values()]
        wanted = [prompt.answer_tokens.tolist() for prompt in prompts]
        lengths = np.array([len(prompt.tokens) for prompt in prompts])
        spans = np.array([prompt.answer_span for prompt in prompts])
        self.prompt_tokens = np.concatenate([prompt.tokens.numpy() for prompt in prompts])
        self.prompt_start = (lengths.cumsum() - lengths)[trials]
        self.n_prompt = lengths[trials]
        self.answer_start, self.answer_stop = spans[trials].T
        self.n_said = np.array([len(generated) for generated in said])
        self.said = np.array([token for generated in said for token in generated], dtype=np.int64)
        self.said_start = self.n_said.cumsum() - self.n_said
        self.first_failing = np.array(
            [
                _first_departure(generated, wanted[trial])
                for generated, trial in zip(said, trials.tolist(), strict=True)
            ]
        )
