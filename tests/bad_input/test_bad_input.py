"""Every bad value is refused: at once, in the house's words, with nothing written or changed."""

import pytest
from bad_calls import Entry, try_all
from bad_table import ROOMS, entries_of

ENTRIES = [
    pytest.param(room, entry, id=f"{room}-{entry.name}")
    for room in ROOMS
    for entry in entries_of(room)
]


@pytest.mark.parametrize(("room", "entry"), ENTRIES)
def test_bad_values_are_refused(room: str, entry: Entry, things, unchecked, record_property):
    verdicts = try_all(room, entry, things, unchecked)
    for verdict in verdicts:
        record_property("bad input", (verdict.room, verdict.outcome))
    wrong = [v for v in verdicts if v.outcome != "refused well"]
    assert not wrong, "\n".join(f"{v.call}: {v.outcome}: {v.said}" for v in wrong)
