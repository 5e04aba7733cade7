"""The section with chosen trials, token by token, and the heads that copied in them."""

from collections.abc import Sequence

from rh_lens.detection import Trial
from rh_lens.views.page.content import PageContent
from rh_lens.views.page.markup import Html, element, join
from rh_lens.views.page.section import Section
from rh_lens.views.page.trial_view import TokenTexts, trial_view
from rh_lens.views.page.words import count

_N_RIGHT, _N_WRONG = 8, 4
_MAX_TRIALS = 100


def trials(content: PageContent) -> Section:
    """Chosen trials; the page's script shows one at a time."""
    chosen = _chosen(content)
    texts = TokenTexts.of(content.tokenizer, content.events.table)
    indices = [trial.index for trial in chosen]
    of_trial = dict([*content.events.of_trials(indices).table.groupby("trial")])
    none = content.events.table.iloc[:0]
    views = [
        trial_view(trial, of_trial.get(trial.index, none), content.head_table, texts)
        for trial in chosen
    ]
    parts = [element("p", _what(content, len(chosen))), _controls(chosen), _viewer()]
    return Section("trials", "Inside the answers", join(parts), {"trials": views})


def _chosen(content: PageContent) -> list[Trial]:
    """Trials that were asked for, or some right and some wrong ones spread over the run."""
    if content.chosen is not None:
        by_index = {trial.index: trial for trial in content.trials}
        if len(content.chosen) > _MAX_TRIALS:
            raise ValueError(
                f"Expected at most {_MAX_TRIALS} trials on a page; found {len(content.chosen)}. "
                "Choose fewer, or make several pages."
            )
        return [by_index[index] for index in content.chosen]
    right = [trial for trial in content.trials if trial.accepted]
    wrong = [trial for trial in content.trials if not trial.accepted]
    return sorted([*_spread(right, _N_RIGHT), *_spread(wrong, _N_WRONG)], key=lambda t: t.index)


def _spread(found: Sequence[Trial], most: int) -> list[Trial]:
    """So many of them, from the first to the last at equal distances."""
    if len(found) <= most:
        return list(found)
    return [found[round(k * (len(found) - 1) / (most - 1))] for k in range(most)]


def _what(content: PageContent, n: int) -> str:
    n_all = len(content.trials)
    which = f"All {n_all:,} trials" if n == n_all else f"{n:,} of {count(n_all, 'trial')}"
    other = "" if n == n_all else " (rh-lens show --trials puts others here)"
    return (
        f"{which} are on this page{other}. A copy is a step at which the head looked most at a "
        "token of the answer in the text and the model then said that token. The needle is "
        "underlined, its answer shaded; colour is the head's attention on the token that it "
        "copied. Choose a head in the list, or in the table of copies."
    )


def _controls(chosen: Sequence[Trial]) -> Html:
    right = [trial for trial in chosen if trial.accepted] or chosen
    first = right[len(right) // 2]
    options = join(
        element("option", _name(trial), value=place, selected=trial is first)
        for place, trial in enumerate(chosen)
    )
    return element(
        "div",
        element("label", "Trial ", element("select", options, id="trial")),
        element("label", "Head ", element("select", id="head")),
        class_="choices",
        id="choices",
    )


def _name(trial: Trial) -> str:
    verdict = "right" if trial.accepted else "wrong"
    prompt = trial.prompt
    where = f"{prompt.context_length:,} tokens, depth {prompt.depth:.2f}"
    return f"{trial.index}: {where}, {verdict}"


def _viewer() -> Html:
    """What the script fills."""
    title = element("h3", "Copies by step and head")
    copies = element("table", id="copies", class_="copies")
    steps = element("table", id="steps", class_="numbers")
    return element(
        "div",
        element("noscript", element("p", "Trials are shown with JavaScript only.", class_="note")),
        element("dl", id="facts", class_="facts"),
        element("h3", "The text, around the needle"),
        element("p", id="context", class_="tokens", translate="no", dir="auto"),
        element("h3", "What the model said"),
        element("p", id="said", class_="tokens", translate="no", dir="auto"),
        element("p", class_="readout", id="copied", role="status"),
        title,
        element(
            "div",
            copies,
            class_="scroll",
            tabindex=0,
            role="region",
            aria_label="Copies by step and head",
        ),
        element(
            "details",
            element("summary", "The head's copies as a table"),
            element(
                "div",
                steps,
                class_="scroll",
                tabindex=0,
                role="region",
                aria_label="The head's copies",
            ),
        ),
        id="viewer",
    )
