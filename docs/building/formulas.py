r"""Formulas between dollar signs as MathML, which browsers draw by themselves.

The part of TeX that docstrings use: letters, numbers, `_`, `^`, `'`, `\frac`, `\sqrt`, accents,
`\text` and the symbols below. Any other command is an error, so that no page shows raw TeX.
"""

import re
from collections.abc import Iterator
from xml.etree.ElementTree import Element

from markdown import Markdown
from markdown.extensions import Extension
from markdown.inlinepatterns import InlineProcessor

WORDS = {"arg", "cos", "det", "exp", "inf", "ln", "log", "max", "min", "sup"}


def _table(commands: str, signs: str) -> dict[str, str]:
    return dict(zip(commands.split(), signs.split(), strict=True))


GREEK = _table(
    "alpha beta gamma delta epsilon eta theta kappa lambda mu nu pi rho sigma tau phi psi omega",
    "α β γ δ ϵ η θ κ λ μ ν π ρ σ τ ϕ ψ ω",
)
SYMBOLS = {
    **_table("Delta Gamma Omega Phi Pi Sigma ell infty top", "Δ Γ Ω Φ Π Σ ℓ ∞ ⊤"),
    **_table("sum prod int partial nabla cdot times odot circ pm mp", "∑ ∏ ∫ ∂ ∇ · × ⊙ ∘ ± ∓"),
    **_table("le leq ge geq ne neq approx sim equiv propto ll gg", "≤ ≤ ≥ ≥ ≠ ≠ ≈ ∼ ≡ ∝ ≪ ≫"),
    **_table("in notin subset cup cap setminus forall exists", "∈ ∉ ⊂ ∪ ∩ ∖ ∀ ∃"),
    **_table("to mapsto leftarrow rightarrow Rightarrow mid", "→ ↦ ← → ⇒ ∣"),
    **_table("lvert rvert lVert rVert lfloor rfloor lceil rceil", "| | ‖ ‖ ⌊ ⌋ ⌈ ⌉"),
    **_table("langle rangle dots ldots cdots", "⟨ ⟩ … … ⋯"),
}
ACCENTS = {"hat": "^", "bar": "¯", "tilde": "~", "vec": "→"}
FORMULA = r"(?<![\w$\\])\$(?![\s$])([^$]+?)(?<![\s\\])\$(?![\w$])"
TOKEN = re.compile(r"\\text\{[^}]*\}|\\[a-zA-Z]+|\\.|\d+(?:\.\d+)?|:=|\s+|.", flags=re.DOTALL)


def mathml(tex: str) -> Element:
    """A formula as a `math` element."""
    math = Element("math")
    math.append(_row(_Tokens(tex)))
    return math


class _Tokens:
    """A formula's tokens, read from left to right."""

    def __init__(self, tex: str) -> None:
        unseen = ("\\left", "\\right")
        self.left = [token for token in TOKEN.findall(tex) if token not in unseen and token.strip()]

    def next_is(self, *tokens: str) -> bool:
        return bool(self.left) and self.left[0] in tokens

    def take(self) -> str:
        return self.left.pop(0)

    def take_digit(self) -> None:
        """Leave one digit in front: `\\frac12` is a half."""
        if self.left[0].isdigit() and len(self.left[0]) > 1:
            self.left[:1] = [*self.left[0]]


def _row(tokens: _Tokens, end: str = "") -> Element:
    """What comes up to a token, in one row."""
    row = Element("mrow")
    while tokens.left and not tokens.next_is(end):
        row.append(_with_scripts(tokens))
    if end:
        tokens.take()
    return row


def _with_scripts(tokens: _Tokens) -> Element:
    """An atom with what stands below and above it."""
    atom = _atom(tokens)
    scripts: dict[str, Element] = {}
    while tokens.next_is("_", "^", "'"):
        mark = tokens.take()
        if mark == "'":
            scripts["^"] = _leaf("mo", "′")
        else:
            tokens.take_digit()
            scripts[mark] = _atom(tokens)
    if not scripts:
        return atom
    tag = {"_": "msub", "^": "msup"}["".join(scripts)] if len(scripts) == 1 else "msubsup"
    return _parent(tag, atom, *(scripts[mark] for mark in "_^" if mark in scripts))


def _atom(tokens: _Tokens) -> Element:
    token = tokens.take()
    if token == "{":
        return _row(tokens, "}")
    if token.startswith("\\"):
        return _command(token, tokens)
    if token[0].isdigit():
        return _leaf("mn", token)
    if token.isalpha():
        return _leaf("mi", token)
    fence = _leaf("mo", "−" if token == "-" else token)
    fence.set("stretchy", "false")
    return fence


def _command(token: str, tokens: _Tokens) -> Element:
    if token.startswith("\\text"):
        return _leaf("mtext", token.removeprefix("\\text{").removesuffix("}"))
    name = token[1:]
    if name == "frac":
        return _parent("mfrac", *_arguments(tokens, 2))
    if name == "sqrt":
        return _parent("msqrt", *_arguments(tokens, 1))
    if name in ACCENTS:
        return _parent("mover", *_arguments(tokens, 1), _leaf("mo", ACCENTS[name]))
    if name in GREEK:
        return _leaf("mi", GREEK[name])
    if name in WORDS:
        return _leaf("mi", name)
    if name in ",; ":
        return _leaf("mtext", "\u2009")
    if name in "{}|":
        return _leaf("mo", name)
    if name not in SYMBOLS:
        raise ValueError(f"Expected a command that formulas here know; found \\{name}. Add it.")
    return _leaf("mo", SYMBOLS[name])


def _arguments(tokens: _Tokens, n: int) -> Iterator[Element]:
    for _ in range(n):
        tokens.take_digit()
        yield _atom(tokens)


def _leaf(tag: str, text: str) -> Element:
    element = Element(tag)
    element.text = text
    return element


def _parent(tag: str, *children: Element) -> Element:
    element = Element(tag)
    element.extend(children)
    return element


class _Formula(InlineProcessor):
    def handleMatch(self, m: re.Match[str], data: str) -> tuple[Element, int, int]:
        """The formula, and where it stood."""
        return mathml(m[1]), m.start(0), m.end(0)


class Formulas(Extension):
    """Markdown extension: `$...$` outside code is a formula."""

    def extendMarkdown(self, md: Markdown) -> None:
        """Read formulas in `md`."""
        # Behind code in backticks (190), before backslashes and underscores are markup (180).
        md.inlinePatterns.register(_Formula(FORMULA, md), "formula", 185)
