"""Doubts about choices: would other ones have given other heads?"""

from contextlib import suppress

from rh_lens.circuits import HeadScores
from rh_lens.detection import NoAcceptedTrialsError, detect_retrieval_heads
from rh_lens.doubts.case import DoubtCase
from rh_lens.doubts.choices import Choices, score_choices
from rh_lens.doubts.recording import record_trials
from rh_lens.doubts.verdicts import Doubt, all_of, shown_estimate, verdict_above
from rh_lens.prompts import Template, build_grid

_OTHER_TEMPLATE = Template("short", "{context}\n\nQ: {question}\nA:")
_FEW_TOKENS = 8


def doubt_choices(case: DoubtCase) -> Doubt:
    """Do the heads depend on the choices of their definition?"""
    found = choices_of(case)
    by_option = {option: found.jaccard(option) for option in found.options[1:]}
    worst = min(by_option, key=lambda option: by_option[option].low)
    table = found.to_dataframe()
    return Doubt(
        "choices",
        "Whatever the choices of the definition, more than half of the heads are the same.",
        "thresholds, recalls, spans, normalisations, template and length of answers, one changed "
        "at a time; share in common (Jaccard), interval over needles",
        f"{len(found.options)} options give {table['n_heads'].min()} to {table['n_heads'].max()} "
        f"heads; least in common, {worst.choice} {worst.name}: "
        f"{shown_estimate(by_option[worst])}; rank correlation {table['spearman'].min():.2f} at "
        "the lowest",
        all_of([verdict_above(one, 0.5) for one in by_option.values()]),
        "One choice changed at a time: two together may do more. Where few heads retrieve, a "
        "single one more or less moves the share a lot.",
        table,
    )


def choices_of(case: DoubtCase) -> Choices:
    """The choices of a case, with another template and shorter answers.

    Args:
        case: The case; its prompts are answered three times.
    """
    trials = [trial for trial in case.result.trials if len(trial.tokens)]
    rows = record_trials(case.model, trials)
    return score_choices(rows, [trial.recall for trial in trials], more=_other_runs(case))


def _other_runs(case: DoubtCase) -> dict[str, HeadScores]:
    """Scores with another template and with shorter answers, where any answer is right then."""
    needles = {prompt.needle.name: prompt.needle for prompt in case.prompts}
    other = build_grid(
        case.model.tokenizer,
        case.haystack,
        list(needles.values()),
        context_lengths=case.prompts[0].context_length,
        depths=sorted({prompt.requested_depth for prompt in case.prompts}),
        template=_OTHER_TEMPLATE,
    )
    runs = {
        f"template: {_OTHER_TEMPLATE.name}": (other, None),
        f"new tokens: {_FEW_TOKENS}": (case.prompts, _FEW_TOKENS),
    }
    found = {}
    for name, (prompts, n_tokens) in runs.items():
        with suppress(NoAcceptedTrialsError):
            run = detect_retrieval_heads(
                case.model, prompts, max_new_tokens=n_tokens, progress=False
            )
            units = tuple(trial.prompt.needle.name for trial in run.accepted)
            found[name] = HeadScores(run.scores.values, run.scores.name, units)
    return found
