"""The first section: what was asked and what came out, in plain words."""

from collections import Counter

from rh_lens.views.page.content import PageContent
from rh_lens.views.page.markup import Html, element, join
from rh_lens.views.page.section import Section
from rh_lens.views.page.silencing_rows import main_comparison
from rh_lens.views.page.words import count, interval, listed, number, share, shortened

# Fewer say little of others: the interval reaches from nothing to everything.
_MIN_NEEDLES = 6
_MEANINGS = {
    "position": "the share of the answer's tokens that it copied",
    "token-set": "the share of the answer's distinct tokens that it copied",
    "event": "how often it copied a token of the answer, per token of the answer",
    "teacher-forced": "the share of the answer's tokens that it copied while the right answer was "
    "fed to the model",
    "fed-attention": "the share of the fed answer's tokens that it looked at most",
    "attention-mass": "the attention that it pays to the answer in the text",
    "official": "what the published code of the method would give it",
}


def summary(content: PageContent) -> Section:
    """What was asked, how much was answered, which heads, and what silencing them did."""
    paragraphs = [_asked(content), _found(content), _silenced(content), _state(content)]
    return Section("summary", "In short", join([_tiles(content), *paragraphs]))


def _tiles(content: PageContent) -> Html:
    """The numbers to remember."""
    n_right, n = sum(trial.accepted for trial in content.trials), len(content.trials)
    tiles = [_tile(f"{n_right:,} of {n:,}", "prompts answered rightly")]
    if content.scores is not None:
        n_heads = content.scores.mean().numel()
        what = f"heads are retrieval heads (score ≥\u00a0{content.threshold:g})"
        tiles.append(_tile(f"{len(content.heads):,} of {n_heads:,}", what))
        zero = int((content.scores.mean() == 0).sum())
        tiles.append(_tile(f"{zero:,} of {n_heads:,}", "heads have a score of exactly\u00a00"))
    main = main_comparison(content.ablation) if content.ablation else None
    if main:
        changed = f"{number(main.untouched, 2)} → {number(main.top, 2)}"
        without = count(main.k, "head")
        tiles.append(_tile(changed, f"{main.metric} without the {without} of the highest scores"))
    return element("ul", *tiles, class_="tiles")


def _tile(value: str, what: str) -> Html:
    return element("li", element("strong", value), " ", element("span", what))


def _asked(content: PageContent) -> Html:
    prompts = [trial.prompt for trial in content.trials]
    lengths = [prompt.context_length for prompt in prompts]
    needles = len({prompt.needle.name for prompt in prompts})
    size = f"{min(lengths):,} to {max(lengths):,}" if len(set(lengths)) > 1 else f"{lengths[0]:,}"
    n_right = sum(trial.accepted for trial in content.trials)
    verb = "was" if len(prompts) == 1 else "were"
    example = prompts[0].needle
    return element(
        "p",
        f"In {count(len(prompts), 'prompt')} a sentence (the needle, of which there {verb} "
        f"{needles:,}) was hidden in {size} tokens of other text (the haystack), and the model was "
        f"asked about it. It answered {n_right:,} rightly ({share(n_right / len(prompts))}). For "
        "example, ",
        _quoted(example.question),
        " is answered by ",
        _quoted(example.answer),
        f". {_rejections(content)}",
    )


def _quoted(words: str) -> Html:
    return element("q", shortened(words, 300), class_="quote", dir="auto")


def _rejections(content: PageContent) -> str:
    """Why answers did not count, the commonest reasons first."""
    reasons = Counter(shortened(t.reason, 120) for t in content.trials if not t.accepted)
    if not reasons:
        return ""
    few = "; ".join(f"{reason} ({n:,})" for reason, n in reasons.most_common(3))
    more = f"; and {len(reasons) - 3:,} other reasons" if len(reasons) > 3 else ""
    return f"Answers that do not count: {few}{more}."


def _found(content: PageContent) -> Html:
    if content.scores is None:
        return element("p", "No answer was right, so that there is nothing to score heads by.")
    mean, heads = content.scores.mean(), content.heads
    best = heads[:5] or content.scores.ranking()[:3]
    named = [f"{head.label} ({mean[head.layer, head.head]:.3f})" for head in best]
    name = content.scores.name
    parts = [
        f"A head's {name} score is {_MEANINGS.get(name, 'its mean over the trials')}, "
        f"averaged over {count(len(content.scores.trials), 'trial')}.",
        f"{count(len(heads), 'head')} of {mean.numel():,} "
        f"({share(len(heads) / mean.numel())}) score {content.threshold:g} or more and count as "
        f"retrieval heads.",
        f"The strongest: {listed(named)}." if named else "No head has a score.",
    ]
    if content.intervals is not None and content.intervals.n_needles >= _MIN_NEEDLES:
        low, high = content.intervals.n_heads_interval
        level = share(content.intervals.level)
        parts.append(
            f"With other needles it would be {low:,} to {high:,} heads ({level} interval)."
        )
    return element("p", " ".join(parts))


def _silenced(content: PageContent) -> Html | None:
    main = main_comparison(content.ablation) if content.ablation else None
    if main is None:
        text = (
            "Looking at a token and saying it is no proof that a head is needed: the heads were "
            "not silenced for this page. rh-lens ablate does it, and --ablation adds the result."
        )
        return element("p", text, class_="note")
    heads = count(main.k, "head")
    parts = [
        f"The {heads} of the highest scores {'was' if main.k == 1 else 'were'} then silenced, "
        f"with {count(main.n_prompts, 'prompt')} about {count(main.n_needles, 'needle')}: "
        f"{main.metric} was {number(main.untouched, 2)} before and {number(main.top, 2)} without "
        f"them ({share(main.level)} interval {interval(main.low, main.high)}).",
        *main.controls,
    ]
    if main.p_heads == main.p_heads:
        parts.append(
            f"The test that other heads, drawn in their place, do as much harm gives p = "
            f"{main.p_heads:.2g}."
        )
    return element("p", " ".join(parts))


def _state(content: PageContent) -> Html | None:
    """What a reader has to know of a run that is not whole."""
    status = content.description.get("status", "finished")
    if status == "finished":
        return None
    n_open = content.description.get("accounting", {}).get("open", "some")
    return element(
        "p",
        f"The run is not over ({shortened(status, 40)}, {n_open} prompts to answer): all numbers "
        "are of the prompts answered so far.",
        class_="note",
    )
