"""Every head by every detector: one table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from rh_lens.checks import require_choice, require_list, require_seed, require_type
from rh_lens.circuits.detectors.detector import SurveyInputs
from rh_lens.circuits.detectors.table import DETECTORS
from rh_lens.circuits.head_scores import HeadScores
from rh_lens.circuits.marked_text import fact_prompts, name_prompts
from rh_lens.circuits.token_sequences import repeated_random_tokens
from rh_lens.detection import RetrievalResult, detect_retrieval_heads
from rh_lens.heads import Head
from rh_lens.prompts import (
    NeedlePrompt,
    build_grid,
    default_needles,
    require_prompts,
    synthetic_haystack,
)
from rh_lens.representation import html_table
from rh_lens.runtime import Bridge, attention_layers


@dataclass(frozen=True, eq=False)
class HeadSurvey:
    """Scores of every head by several detectors.

    Args:
        scores: By the detector's name.
        left_out: Detectors that gave nothing on this model, and why.
    """

    scores: Mapping[str, HeadScores]
    left_out: Mapping[str, str]

    def __repr__(self) -> str:
        best = ", ".join(
            f"{name} {scores.top(1)[0]}" for name, scores in list(self.scores.items())[:4]
        )
        out = f"; {len(self.left_out)} left out" if self.left_out else ""
        return f"HeadSurvey({len(self.scores)} detectors; highest: {best} ...{out})"

    def _repr_html_(self) -> str:
        return html_table(self.kinds(), repr(self), n_rows=40)

    def to_dataframe(self) -> pd.DataFrame:
        """One row a head: layer, head, label, and a column for each detector; NaN without score."""
        tables = []
        for name, scores in self.scores.items():
            mean = scores.mean()
            rows = [
                {"layer": layer, "head": head, name: float(mean[layer, head])}
                for layer in range(mean.shape[0])
                for head in range(mean.shape[1])
            ]
            tables.append(pd.DataFrame(rows).set_index(["layer", "head"]))
        table = pd.concat(tables, axis=1).reset_index()
        places = zip(table["layer"], table["head"], strict=True)
        table.insert(2, "label", [Head(*place).label for place in places])
        return table

    def kinds(self) -> pd.DataFrame:
        """One row a detector: name, stage, what it measures, its source, and its three top heads.

        `top` has them with their scores; for one that was left out, the reason.
        """
        rows = []
        for name, detector in DETECTORS.items():
            if name in self.scores:
                mean = self.scores[name].mean()
                heads = self.scores[name].top(3)
                top = ", ".join(f"{head} {mean[head.layer, head.head]:.2f}" for head in heads)
            elif name in self.left_out:
                top = f"left out: {self.left_out[name]}"
            else:
                continue
            rows.append(
                {
                    "name": name,
                    "stage": detector.stage,
                    "measures": detector.measures,
                    "source": detector.source,
                    "top": top,
                }
            )
        return pd.DataFrame(rows)


def describe_heads(
    model: Bridge,
    prompts: Sequence[NeedlePrompt] | None = None,
    *,
    detection: RetrievalResult | None = None,
    only: Sequence[str] | None = None,
    seed: int = 0,
) -> HeadSurvey:
    """Every head by every kind of the survey of Zheng et al. 2024 (arXiv:2409.03752).

    Each column is one of `DETECTORS`, with its own definition and range. A high score says what a
    head does on these inputs; that the model needs it is a matter of silencing.

    Args:
        model: A TransformerBridge.
        prompts: Needle prompts: natural text for the detectors that want it, and questions. None:
            the default needles in synthetic prose, 512 tokens, depth 0.5 (English).
        detection: Of the same model, for retrieval heads. None: one is run on the prompts.
        only: Names of detectors; None: all.
        seed: Seed of random tokens and names.

    Returns:
        Scores by detector. Where an input tells nothing of a kind (no conflict with memory, no
        accepted trial), the detector is left out with its reason.

    Raises:
        TypeError: An argument is of another type.
        ValueError: A name is unknown, or a prompt does not fit the model.

    Examples:
        >>> survey = describe_heads(model, new_prompts[:2], only=["induction", "previous token"])
        >>> sorted(head.label for head in survey.scores["induction"].top(4))
        ['L2H2', 'L2H3', 'L2H4', 'L2H5']
    """
    attention_layers(model)
    require_seed("seed", seed)
    names = tuple(DETECTORS) if only is None else require_list("only", only, str, at_least=1)
    for name in names:
        require_choice("the name of a detector", name, list(DETECTORS))
    if detection is not None:
        require_type("detection", detection, RetrievalResult)
    inputs = survey_inputs(model, prompts, detection, only=names, seed=seed)
    scores: dict[str, HeadScores] = {}
    left_out: dict[str, str] = {}
    for name in names:
        try:
            scores[name] = DETECTORS[name].run(model, inputs)
        except ValueError as error:
            left_out[name] = str(error).splitlines()[0]
    if not scores:
        raise ValueError(
            f"Expected scores of {len(names)} detectors; found none: {next(iter(left_out.items()))}"
            ". Pass prompts that fit the model."
        )
    return HeadSurvey(scores, left_out)


def survey_inputs(
    model: Bridge,
    prompts: Sequence[NeedlePrompt] | None = None,
    detection: RetrievalResult | None = None,
    *,
    only: Sequence[str] = tuple(DETECTORS),
    seed: int = 0,
) -> SurveyInputs:
    """What `describe_heads` reads; see there.

    Args:
        model: A TransformerBridge.
        prompts: Needle prompts; None: the default needles in synthetic prose.
        detection: Of the same model; None: one is run where a detector wants it, with all scores
            but "official".
        only: Names of the detectors that are to read it.
        seed: Seed of random tokens and names.

    Raises:
        TypeError: An argument is of another type.
        ValueError: A prompt does not fit the model.
    """
    given = _default_prompts(model) if prompts is None else require_prompts(prompts)
    wanted = any(name.startswith("retrieval") for name in only)
    if detection is None and wanted:
        detection = detect_retrieval_heads(model, given, score="teacher-forced", progress=False)
    return SurveyInputs(
        prompts=tuple(given),
        repeated=tuple(repeated_random_tokens(model, seed=seed)),
        names=tuple(name_prompts(model.tokenizer, seed=seed)),
        facts=tuple(fact_prompts(model.tokenizer)),
        detection=detection,
        seed=seed,
    )


def _default_prompts(model: Bridge) -> Sequence[NeedlePrompt]:
    return build_grid(
        model.tokenizer,
        synthetic_haystack(),
        default_needles(),
        context_lengths=[512],
        depths=[0.5],
    )
