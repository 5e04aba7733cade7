"""How calibration tests are repeated, and the table of what they found.

Each test runs twice: "quick", a few repeats that catch gross errors, with the other tests; "full"
under `make calibrate`, which prints the table of its rates at the end.
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict

import pytest
from simulate import Rate, describe_rates

RATES = "calibration"


@pytest.fixture(params=["quick", pytest.param("full", marks=pytest.mark.slow)])
def repeats(request: pytest.FixtureRequest) -> Callable[..., int]:
    """Number of repeats: `repeats(quick=50, full=2000)` is the one that this run asks for."""

    def choose(*, quick: int, full: int) -> int:
        return {"quick": quick, "full": full}[request.param]

    return choose


@pytest.fixture
def record(record_property: Callable[[str, object], None]) -> Callable[[Rate], Rate]:
    """Put a rate into the table that `make calibrate` prints, and give it back."""

    def put(rate: Rate) -> Rate:
        record_property(RATES, asdict(rate))
        return rate

    return put


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table of all full tests."""
    rates = list(_rates(terminalreporter))
    if rates:
        terminalreporter.section("calibration")
        terminalreporter.write_line(describe_rates(rates))


def _rates(reporter: pytest.TerminalReporter) -> Iterator[Rate]:
    ended = [*reporter.stats.get("passed", []), *reporter.stats.get("failed", [])]
    for report in ended:
        if "full" in report.nodeid.partition("[")[2]:
            for name, value in getattr(report, "user_properties", []):
                if name == RATES:
                    yield Rate(**value)
