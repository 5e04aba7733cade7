"""What a model says while heads are patched, step by step."""

from rh_lens.checks import require_type, require_whole_number
from rh_lens.circuits.pair_runs import Into, Part, pair_context, run_pair
from rh_lens.circuits.pairs import PromptPair
from rh_lens.circuits.patching import require_options
from rh_lens.heads import HeadsLike, as_heads
from rh_lens.interventions.editing import head_counts, require_heads
from rh_lens.runtime import Bridge, Generation, StopRule, greedy_decode


def patched_answer(
    model: Bridge,
    pair: PromptPair,
    heads: HeadsLike,
    *,
    stop: StopRule,
    max_new_tokens: int = 32,
    part: Part = "z",
    into: Into = "corrupted",
) -> Generation:
    """What the model answers while heads say, step by step, what they say in the other run.

    Step t of greedy decoding is patched with the row of the other run that predicts token t of the
    clean answer, which is fed there; steps beyond the clean answer are left as they are.

    Args:
        model: A TransformerBridge.
        pair: From `make_pair`.
        heads: Patched together, in any notation of `as_heads`.
        stop: What ends the answer.
        max_new_tokens: Longest answer, in tokens.
        part: As in `patch_head_sets`.
        into: As in `patch_head_sets`.

    Raises:
        TypeError: An argument is of another type.
        ValueError: As for `patch_head_sets` and `greedy_decode`.

    Examples:
        >>> pair = pairs.pairs[0]
        >>> print(patched_answer(model, pair, heads, stop=stop).text, "|", pair.put)
         Baron Turnip. | a hollow drum behind the oven
    """
    require_whole_number("max_new_tokens", max_new_tokens, at_least=1)
    require_type("stop", stop, StopRule, remedy="Make one with stop_rule.")
    require_type("pair", pair, PromptPair, remedy="Make one with make_pair.")
    require_options(part, "answer", into, "log-prob")
    require_heads(as_heads(heads), head_counts(model))
    with pair_context(model, [pair]) as context:
        runs = run_pair(context, pair, "answer", into)
        hooks = runs.base.rerun.replaced(heads, runs.outputs(part))
        prompt = pair.corrupted if into == "corrupted" else pair.clean.tokens
        return greedy_decode(
            model,
            prompt,
            max_new_tokens=max_new_tokens,
            stop=stop,
            decode_hooks=hooks,
            context=context,
        )
