"""Every argument of every command refuses bad values in one line, before anything is written."""

import argparse

import pytest
from bad_command_calls import try_command
from bad_commands import COMMANDS

from rh_lens import demo
from rh_lens.cli import _parser


@pytest.mark.parametrize("name", ["main", *COMMANDS])
def test_bad_arguments_are_refused(name, things, unchecked, record_property, monkeypatch):
    load = demo.load_demo_model
    model = things.model
    monkeypatch.setattr(
        demo,
        "load_demo_model",
        lambda *which, **options: model if name != "main" else load(*which, **options),
    )
    verdicts = try_command(name, things, unchecked)
    for verdict in verdicts:
        record_property("bad input", (verdict.room, verdict.outcome))
    wrong = [v for v in verdicts if v.outcome != "refused well"]
    assert not wrong, "\n".join(f"{v.call}: {v.outcome}: {v.said}" for v in wrong)


def commands() -> dict[str, argparse.ArgumentParser]:
    (choices,) = [a.choices for a in _parser()._actions if isinstance(a.choices, dict)]
    return choices


def test_the_table_has_every_argument_of_every_command():
    assert sorted(COMMANDS) == sorted(commands())
    for name, parser in commands().items():
        actions = [action for action in parser._actions if action.dest != "help"]
        options = {action.option_strings[-1] for action in actions if action.option_strings}
        n_positional = sum(not action.option_strings for action in actions)
        table = COMMANDS[name][1]
        assert {argument for argument in table if argument.startswith("--")} == options
        assert sum(not argument.startswith("--") for argument in table) == n_positional


@pytest.mark.parametrize("name", list(COMMANDS))
def test_help_says_every_default(name):
    parser = commands()[name]
    text = " ".join(parser.format_help().split())
    for action in parser._actions:
        if action.option_strings and action.default not in (None, False, argparse.SUPPRESS):
            assert f"default: {action.default}" in text
