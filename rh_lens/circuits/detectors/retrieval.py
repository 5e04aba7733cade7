"""Retrieval heads, by any of the scores of a detection."""

from rh_lens.checks import require_type
from rh_lens.circuits.head_scores import HeadScores, from_retrieval_scores
from rh_lens.detection import RetrievalResult, ScoreName


def retrieval_heads(result: RetrievalResult, score: ScoreName = "position") -> HeadScores:
    """Retrieval scores of a detection, with the needle as the unit (arXiv:2404.15574).

    Args:
        result: From `detect_retrieval_heads`.
        score: Which definition; `result.score(name)` says which the run has.

    Returns:
        Scores in [0, 1]; "event" and "official" may exceed 1.

    Raises:
        NoAcceptedTrialsError: The score averages accepted trials and there are none.
        TypeError: `result` is no detection's.
        ValueError: The name is unknown, or the score had to be asked for in the run.

    Examples:
        >>> sorted(head.label for head in retrieval_heads(result).top(4))
        ['L2H2', 'L2H3', 'L2H4', 'L2H5']
    """
    remedy = "Run detect_retrieval_heads(model, prompts)."
    require_type("result", result, RetrievalResult, remedy=remedy)
    scores = result.score(score)
    needles = {trial.index: trial.prompt.needle.name for trial in result.trials}
    return from_retrieval_scores(scores, [needles[trial] for trial in scores.trials])
