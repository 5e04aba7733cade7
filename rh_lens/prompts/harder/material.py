"""Words that harder needles are made of: none of them can be guessed from a question."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from rh_lens.checks import require_text

PEOPLE = tuple(
    "Adelva Brannick,Corwin Teasdale,Ebba Lindqvar,Fennimore Okafor,Gisela Ventris,Hamish Druitt,"
    "Ilona Szekeres,Jorund Maddox,Katrine Ollivant,Leopold Anaya,Mireille Stavros,Nestor Quillfeld,"
    "Ottoline Barge,Piet Vandermolen,Quenby Harrowgate,Rosamund Ilk,Sunniva Tarbuck,Tobias Ekwueme,"
    "Ursel Pomfret,Viggo Castellan,Wilhelmina Soo,Xavier Thornbrook,Yevgenia Marsh,Zoltan Pickering"
    "".split(",")
)
PLACES = tuple(
    "Amberquay,Bellhollow,Cindermoor,Dunvarrow,Eastermere,Foxholt,Grimsby Flats,Hollowbrook,"
    "Inkerstrand,Juniper Ness,Kestrel Gate,Larkmouth,Mossbridge,Nettleford,Oakhaven,Pebblewick,"
    "Quarrydale,Ravensey,Saltmarsh,Thistledown".split(",")
)
THINGS = tuple(
    "lantern,ledger,kettle,violin,telescope,anchor,tapestry,compass,saddle,clock,trunk,barometer,"
    "accordion,loom,sextant,wardrobe".split(",")
)
ANSWERS = tuple(
    "a crate of yellow turnips,three brass owls,a jar of pickled walnuts,seven velvet gloves,"
    "a parrot made of tin,two barrels of lamp oil,an umbrella with no handle,a map of the moon,"
    "nine wooden spoons,a harp without strings,four buckets of sand,a pair of green stilts,"
    "a recipe for eel soup,eleven paper boats,a drum full of buttons,a coat of goose feathers,"
    "five glass radishes,a letter to a cousin,a hat for a horse,six blue candles".split(",")
)
CLUBS = tuple("chess,rowing,archery,fencing,stamp,skating,falconry,orchid,kite,domino".split(","))
PASSWORDS = tuple(
    "purple marmot,silent gravel,burnt honey,paper thunder,crooked lemon,velvet anvil,"
    "hollow parsnip,iron feather,wet chimney,sour lantern,blind pelican,loose trumpet".split(",")
)
COUNTS = (
    ("a dozen", "12", "twelve"),
    ("half a hundred", "50", "fifty"),
    ("a score", "20", "twenty"),
    ("two dozen", "24", "twenty-four"),
    ("a hundred and one", "101"),
    ("a pair", "2", "two"),
    ("three score", "60", "sixty"),
    ("half a dozen", "6", "six"),
)
"""Numbers in words, and other ways of saying them."""


@dataclass(frozen=True)
class Association:
    """A question whose words are not in the sentence that answers it: one has to know something.

    Args:
        text: The sentence, with `{person}` where the answer is.
        question: Asks who it is, in other words.

    Raises:
        TypeError: A field is no text.
        ValueError: It is blank.
    """

    text: str
    question: str

    def __post_init__(self) -> None:
        require_text("text", self.text)
        require_text("question", self.question)


ASSOCIATIONS = (
    Association("{person} has not touched meat since childhood.", "Who is a vegetarian?"),
    Association("At dawn {person} sells warm rolls to the street.", "Which one runs a bakery?"),
    Association("From the balcony {person} looks down on the Eiffel Tower.", "Who lives in Paris?"),
    Association("{person} fills teeth and pulls the bad ones.", "Who works as a dentist?"),
    Association("{person} counts craters through a brass tube.", "Who is an astronomer?"),
    Association("{person} keeps forty hives behind the orchard.", "Which one is a beekeeper?"),
    Association("Each winter {person} mends skis and waxes sledges.", "Who loves snow?"),
    Association("{person} cannot tell red from green.", "Which one is colour-blind?"),
    Association("The cello in the attic belongs to {person}.", "Who plays music?"),
    Association("{person} sold the last cow and the plough in spring.", "Who used to farm?"),
    Association("Not a single hair is left on the head of {person}.", "Who is bald?"),
    Association("{person} was born in a cabin below Mount Fuji.", "Who comes from Japan?"),
)
"""Needles without a word in common with their question; give your own to `non_literal_needles`."""


def one_of(rng: random.Random, words: Sequence[str], *, n: int = 1) -> list[str]:
    """Distinct words of a list."""
    return rng.sample(list(words), n)


def digits(rng: random.Random, n: int = 5) -> str:
    """A number of so many digits, the first of them not 0."""
    return str(rng.randrange(10 ** (n - 1), 10**n))


def code(rng: random.Random) -> str:
    """A code of letters and digits, in two groups."""
    letters = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
    return "-".join("".join(rng.choices(letters, k=4)) for _ in range(2))
