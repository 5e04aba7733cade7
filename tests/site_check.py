"""What is wrong with a built site: `python tests/site_check.py site`."""

import re
import sys
from html.parser import HTMLParser
from pathlib import Path

# Attributes that make a browser fetch something by itself.
FETCHED = {"script": "src", "img": "src", "iframe": "src", "link": "href", "source": "src"}
OUTSIDE = re.compile(r"^(?:https?:)?//")
IN_STYLE = re.compile(r"url\([\"']?(?:https?:)?//[^)]*\)|@import[^;]+")
# Formulas and links that were not made into any.
AS_WRITTEN = re.compile(r"\\frac|\\sum|\\text|\]\[rh_lens")
# Scripts of the theme fetch these if a page has them.
FETCHES_LATER = ("mermaid", 'data-md-component="source"')


class _Fetched(HTMLParser):
    """Addresses that a page fetches."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append(dict(attrs).get(FETCHED.get(tag, ""), "") or "")


def problems(site: Path) -> list[str]:
    """References to anything outside the site, and what was left as written."""
    found = []
    for path in sorted(site.glob("**/*.html")):
        text = path.read_text(encoding="utf-8")
        page = _Fetched()
        page.feed(text)
        found += [f"{path}: fetches {one}" for one in page.found if OUTSIDE.match(one)]
        found += [f"{path}: {one}" for one in FETCHES_LATER if one in text]
        found += [f"{path}: {one}" for one in AS_WRITTEN.findall(text)]
    for path in sorted(site.glob("**/*.css")):
        found += [f"{path}: {one}" for one in IN_STYLE.findall(path.read_text(encoding="utf-8"))]
    return found


if __name__ == "__main__":
    wrong = problems(Path(sys.argv[1]))
    print("\n".join(wrong) or "The site refers to nothing outside itself.")
    sys.exit(len(wrong) > 0)
