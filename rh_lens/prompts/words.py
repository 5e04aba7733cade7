"""The words that synthetic text is made of, and the ones that training never sees."""

import hashlib
import random
from collections.abc import Sequence
from typing import Literal, TypeVar

Split = Literal["train", "held-out"]
T = TypeVar("T")

ADJECTIVES = """
amber ancient bitter blue bright broken calm careful cheap clever cold copper crimson crooked
curious dark deep distant dusty early eager empty faded famous fierce fragile frozen gentle golden
green grey heavy hidden hollow honest humble icy idle iron ivory jagged kind late lean little
lonely loose loud lucky mellow misty modern narrow neat nervous noisy northern old orange painted
pale patient plain polished proud purple quick quiet rare red restless rough round rusty sandy
scarlet secret sharp shy silent silver simple slender slow small smooth soft solemn southern spare
steady steep stern stiff strange striped sturdy sudden sunny tall tame thick thin tidy tiny velvet
violet warm weary western wet white wide wild winding wise wooden yellow young
""".split()

NOUNS = """
acorn anchor apple apron archive armchair arrow atlas badge balcony ballad barrel basin basket
beacon beetle bell bench bicycle blanket boat bottle bracelet bridge broom bucket button cabin
cable candle canoe canvas carpet cart castle cedar cellar chain chapel cherry chest chimney cider
clock cloud coat coin comet compass corridor cottage cradle crane cricket crown cup curtain dagger
desk diary dolphin donkey door dragon drawer drum eagle engine envelope falcon feather ferry
fiddle flag flute forest fountain fox garden gate glove granite guitar hammer harbour harvest hat
hedge helmet heron hill honey horse inn island jacket jar jewel journal kettle key kite kitchen
ladder lake lamp lantern lemon letter library lighthouse lizard lock mantle map marble market mask
meadow melon mill mirror mountain museum needle nest notebook oar olive orchard otter oven owl
paddle page palace parcel parrot path pear pebble pencil pepper piano pigeon pillow pipe plum
pocket pony pottery pumpkin quarry quilt rabbit raft railway raven ribbon ring river robin rocket
roof rope rudder saddle sail salmon sandal school sculpture seal shield ship shoe signal sofa
spade sparrow spoon stable stairway statue stove stream swan table tavern teapot temple tent
theatre thimble ticket tiger tower train trumpet tunnel turtle umbrella valley vase village violin
wagon walnut warehouse watch wheel whistle willow window workshop yard zebra
""".split()

VERBS = """
admire arrange borrow bring build burn bury buy carry catch check choose clean collect copy count
cover defend deliver describe draw examine fetch find finish fix follow forget gather guard hide
hold inspect invent keep lift lose measure mend move notice open order pack paint plant polish
praise prepare protect pull push raise recognise remember repair replace rescue return save search
sell send share show sketch steal study throw touch trade visit wash watch weigh wrap
""".split()

TRADES = """
actor archivist baker barber blacksmith builder butcher captain carpenter clerk cobbler cook
dancer dentist doctor farmer fisher gardener guard guide hunter inspector jeweller judge librarian
mason mayor merchant miller miner musician nurse painter pilot plumber poet porter potter printer
sailor scholar sculptor shepherd singer smith soldier surgeon tailor teacher traveller weaver
writer
""".split()

ATTRIBUTES = """
password passphrase nickname motto menu recipe hobby habit promise reward prize rumour verdict
treasure souvenir costume emblem slogan colour animal flower instrument dessert drink breakfast
meal snack weapon tool toy gift title greeting warning message codeword symptom remedy secret wish
dream plan route signal address landmark song poem book painting game sport subject lesson mascot
symbol tradition ritual rule law fear crop export currency metal stone tree bird fish fruit spice
""".split()

_ONSETS = "b br c d dr f g gl h j k kr l m n p pr qu r s sh st t th tr v w y z".split()
_VOWELS = "a e i o u ae ia io ou ei".split()
_CODAS = ["", "", "", "l", "m", "n", "r", "s", "nd", "rk", "x", "th", "ck", "ss"]


def pick(rng: random.Random, options: Sequence[T]) -> T:
    """One of `options`, by a single `rng.random()`: every Python version draws the same."""
    return options[int(rng.random() * len(options))]


def split_of(word: str) -> Split:
    """The split of a word, name or number, by its SHA-256: one in eight or so is held out."""
    return "held-out" if hashlib.sha256(word.encode()).digest()[0] % 8 == 0 else "train"


def select(words: Sequence[str], split: Split) -> list[str]:
    """The words of one split."""
    return [word for word in words if split_of(word) == split]


def invented_name(rng: random.Random, split: Split) -> str:
    """A made-up name of two or three syllables, such as `Velnoria`, that belongs to `split`."""
    while True:
        syllables = 2 + int(rng.random() * 2)
        name = "".join(pick(rng, _ONSETS) + pick(rng, _VOWELS) for _ in range(syllables))
        name = (name + pick(rng, _CODAS)).capitalize()
        if split_of(name) == split:
            return name


def number(rng: random.Random, split: Split) -> str:
    """A whole number of two to four digits that belongs to `split`."""
    while True:
        digits = 2 + int(rng.random() * 3)
        value = str(int(10 ** (digits - 1) + rng.random() * 9 * 10 ** (digits - 1)))
        if split_of(value) == split:
            return value
