"""Good things for the table of bad values, and its totals at the end."""

from collections.abc import Iterator
from pathlib import Path

import jaxtyping
import pytest
from bad_calls import totals
from good_things import Things


@pytest.fixture(scope="session")
def things(tmp_path_factory: pytest.TempPathFactory) -> Things:
    return Things(tmp_path_factory.mktemp("good"))


@pytest.fixture
def unchecked(tmp_path: Path) -> Iterator[Path]:
    """An empty folder; while it is used, nothing but the project itself checks types."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield tmp_path
    jaxtyping.config.update("jaxtyping_disable", False)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    outcomes = [
        outcome
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "when", "") == "call"
        for name, outcome in report.user_properties
        if name == "bad input"
    ]
    if lines := totals(outcomes):
        terminalreporter.section("bad inputs")
        terminalreporter.write_line("\n".join(lines))
