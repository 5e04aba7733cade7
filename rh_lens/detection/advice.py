"""What to change where answers were rejected, by how they ended."""

from collections import Counter
from collections.abc import Sequence

from rh_lens.detection.trial import Trial

_CAUSES = {
    "blank": "{n} blank: try the model's chat template, or text before the answer in a template",
    "newline": "{n} stopped at a line break: where the answer comes after it, let the model go on "
    "with stop=stop_rule(tokenizer, newline=False) (--stop none)",
    "string": "{n} stopped at a stop string: take it out of stop= (--stop)",
    "length": "{n} used up max_new_tokens ({room}): allow more (--max-new-tokens)",
    "eos": "{n} ended with another answer: try shorter contexts or the model's chat template",
}


def advice(rejected: Sequence[Trial]) -> str:
    """What may help against the causes that apply, the most frequent first.

    Args:
        rejected: Trials that were not accepted.
    """
    causes = Counter(
        trial.stop_reason if trial.text.strip() else "blank" for trial in rejected
    ).most_common()
    room = max((len(trial.tokens) for trial in rejected), default=0)
    found = "; ".join(_CAUSES[cause].format(n=n, room=room) for cause, n in causes)
    return f"Of these answers, {found}." if found else ""
