"""What a study has done so far: `study.json`, replaced after every stage."""

import json
from pathlib import Path
from typing import Any

from rh_lens.cli.study_plan import StudyPlan

STUDY = "study.json"


class StudyRecord:
    """The plan of a study and its stages.

    Args:
        folder: The study's folder.
        identity: What makes the study this one and no other, as JSON values.

    Raises:
        OSError: The file can't be read.
        ValueError: The folder holds another study, or a damaged file.
    """

    plan: StudyPlan | None
    """Sizes; None before they are chosen."""

    def __init__(self, folder: Path, identity: dict[str, Any]) -> None:
        self.folder, self.identity, self.plan = folder, json.loads(json.dumps(identity)), None
        self.stages: dict[str, dict[str, Any]] = {}
        if (folder / STUDY).exists():
            self._read()

    @property
    def seconds(self) -> float:
        """Seconds that the stages took, those of earlier sessions too."""
        return sum((float(one.get("seconds", 0)) for one in self.stages.values()), 0.0)

    def is_done(self, stage: str) -> bool:
        """Whether a stage has ended well."""
        return self.stages.get(stage, {}).get("status") == "done"

    def choose(self, plan: StudyPlan) -> None:
        """Keep the plan."""
        self.plan = plan
        self._write()

    def end(self, stage: str, status: str, seconds: float = 0.0, why: str = "") -> None:
        """Keep how a stage ended: "done", "failed" or "skipped", and why."""
        seconds += float(self.stages.get(stage, {}).get("seconds", 0))
        self.stages[stage] = {"status": status, "seconds": round(seconds, 1), "why": why}
        self._write()

    def notes(self) -> list[str]:
        """A sentence for each stage that was left out or has failed."""
        return [one["why"] for one in self.stages.values() if one["why"]]

    def _write(self) -> None:
        from rh_lens.files import write_json

        plan = None if self.plan is None else self.plan.record()
        content = {"identity": self.identity, "plan": plan, "stages": self.stages}
        write_json(self.folder / STUDY, content)

    def _read(self) -> None:
        path = self.folder / STUDY
        try:
            found = json.loads(path.read_text("utf-8"))
            identity, self.stages = dict(found["identity"]), dict(found["stages"])
            self.plan = None if found["plan"] is None else StudyPlan.of(found["plan"])
        except (ValueError, LookupError, TypeError) as error:
            raise ValueError(
                f"Expected the plan of a study in {str(path)!r}; found a file that can't be read "
                f"({type(error).__name__}: {str(error)[:100]}). Choose another folder with --out."
            ) from error
        other = [
            f"{name} ({str(identity.get(name))[:80]!r} there, {str(value)[:80]!r} here)"
            for name, value in self.identity.items()
            if identity.get(name) != value
        ]
        if other:
            raise ValueError(
                f"Expected the study in {str(self.folder)!r} to be this one; found that it differs "
                f"in {', '.join(other)[:600]}. Repeat it with what it was begun with, or choose "
                "another folder with --out."
            )
