"""The section that says how the page's numbers were made."""

import json
import shlex
import textwrap
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from typing import Any

from rh_lens.views.page.content import PageContent
from rh_lens.views.page.markup import Html, element, folded, join
from rh_lens.views.page.section import Section
from rh_lens.views.page.words import shortened

_MAX_JSON = 60_000
_MODEL = {
    "name": "model",
    "revision": "revision",
    "architecture": "architecture",
    "dtype": "precision",
    "device": "device",
    "weights_sha256": "weights, SHA-256",
    "config_sha256": "configuration, SHA-256",
    "tokenizer_sha256": "tokenizer, SHA-256",
}
_RUN = {
    "started": "started",
    "haystack_sha256": "haystack, SHA-256",
    "prompts_sha256": "prompts, SHA-256",
}
_NEXT = (
    "rh-lens study NAME\n"
    "rh-lens detect --model NAME --out RUN\n"
    "rh-lens ablate RUN --model NAME --out ABLATION\n"
    "rh-lens show RUN --ablation ABLATION"
)
_POSITIONAL = ("scores",)
_LEFT_OUT = ("quiet",)


def making(content: PageContent) -> Section:
    """Model, versions, hashes and commands, and `run.json` whole."""
    runs = [("Detection", content.description), ("Ablation", content.ablation_description)]
    parts: list[Html] = [part for title, one in runs if one for part in _of_run(title, one)]
    if not parts:
        parts = [element("p", "The result was made in Python and not stored: nothing is known.")]
    parts += _next_steps()
    parts.append(element("p", f"Page written by rh-lens {version('rh-lens')}.", class_="note"))
    return Section("making", "How it was made", join(parts))


def _next_steps() -> list[Html]:
    """How a reader makes such a page of another model."""
    words = (
        "Such a page of your own model, by its name on the Hugging Face hub or its folder (each "
        "command's --help lists lengths, needles and texts):"
    )
    return [element("h3", "Next"), element("p", words), _command(_NEXT, "Commands for a model")]


def _command(command: str, label: str) -> Html:
    return element(
        "pre", command, class_="command", tabindex=0, role="region", aria_label=label,
        translate="no",
    )  # fmt: skip


def _of_run(title: str, description: Mapping[str, Any]) -> Iterator[Html]:
    yield element("h3", title)
    if command := command_of(description):
        yield _command(command, f"Command of the {title.lower()}")
    model, versions = description.get("model", {}), description.get("versions", {})
    facts = [(label, model.get(name)) for name, label in _MODEL.items()]
    facts += [(label, description.get(name)) for name, label in _RUN.items()]
    if isinstance(n_parameters := model.get("n_parameters"), int):
        facts.append(("parameters", f"{n_parameters:,}"))
    facts.append(("versions", ", ".join(f"{name} {one}" for name, one in versions.items())))
    machine = description.get("machine", {})
    facts.append(("machine", ", ".join(f"{name} {one}" for name, one in machine.items() if one)))
    yield element(
        "dl",
        *(
            join([element("dt", name), element("dd", shortened(value, 400), translate="no")])
            for name, value in facts
            if value not in (None, "")
        ),
        class_="facts",
    )
    whole = json.dumps(description, indent=2, ensure_ascii=False, default=str)
    more = "\n[cut here]" if len(whole) > _MAX_JSON else ""
    yield folded(
        f"run.json of the {title.lower()}",
        element("pre", whole[:_MAX_JSON] + more, tabindex=0, role="region",
                aria_label=f"run.json of the {title.lower()}", translate="no"),
    )  # fmt: skip


def command_of(description: Mapping[str, Any]) -> str:
    """The command line that makes the run again, from `run.json`; empty if it says none."""
    name, arguments = description.get("command"), description.get("arguments")
    if not isinstance(name, str) or not isinstance(arguments, dict):
        return ""
    words = ["rh-lens", name]
    for key, value in arguments.items():
        if value is None or value is False or value == [] or key in _LEFT_OUT:
            continue
        option = [] if key in _POSITIONAL else [f"--{key.replace('_', '-')}"]
        if key == "stop":
            words += [word for one in value for word in (*option, str(one))]
        elif value is True:
            words += option
        else:
            shown = ",".join(map(str, value)) if isinstance(value, list) else str(value)
            words += [*option, shown]
    line = " ".join(shlex.quote(word) for word in words)
    return " \\\n  ".join(textwrap.wrap(line, 84, break_long_words=False, break_on_hyphens=False))
