"""Which answers are refusals, and which only sound a little like one."""

import pytest

from rh_lens.evaluation.refusals import is_refusal, plain_sentences

REFUSED = """
The text doesn't say.
The text does not say what the password is.
The given text does not explicitly state this.
The passage above doesn't mention it.
The context provided does not contain this.
The document does not provide the motto of Velnor.
It doesn't say.
It does not say who has the key.
It isn't mentioned
It is not mentioned in the text.
It's never stated.
The colour of the gate is not specified.
The answer is nowhere mentioned.
The number of stairs was not given.
The password isn't known.
That is not in the text.
Not mentioned in the passage.
This does not appear in the provided document.
No answer is provided
No answer.
No information is given about that.
No information about the motto
There is no mention of a motto.
There's no information on that.
Unknown
Unknown.
It is unknown.
The answer is unknown
The motto remains unclear.
The password is unknown because nobody wrote it down.
N/A
n/a.
NA
N.A.
Not applicable.
Not specified
not available
Not sure.
Unanswerable
No idea.
I don't know.
I do not know that.
I don't have enough information to answer.
I'm not sure.
I am sorry, but I can't answer that.
Sorry, I can't help.
I cannot find it.
I have no idea
As an AI, I have no opinion.
It cannot be determined from the text.
It is impossible to say.
Unable to determine.
There is not enough information.
Insufficient information
**Unknown**
"Unknown"
""".strip().splitlines()

NOT_REFUSED = """
the Unknown River
Unknown River
an unknown sailor
the tomb of the unknown soldier
The river is Unknown River
a parrot that does not say hello
no whistling after rain
no answer came from the tower
nobody may eat soup
a bowl of plums that is not given to cats
the text of the bell
The passage behind the oven
a document in a bucket
the napkin
Na Pali
nine
NASA
not a goat but a heron
the answer is a heron
that a heron had taken it
It says: mind the goose
an idea of the mayor
the sorry captain
the information desk
No. 7
none
sure thing
it does not rain in the cellar
the lamp was not found by Maud
available wax
He could not see the boat
a harbour unknown to sailors
I am Maud
""".strip().splitlines()


@pytest.mark.parametrize("text", REFUSED)
def test_refusals(text):
    assert is_refusal(text)
    assert is_refusal(f" {text.upper()}\n")
    assert is_refusal(text.replace("'", "\N{RIGHT SINGLE QUOTATION MARK}"))


@pytest.mark.parametrize("text", NOT_REFUSED)
def test_no_refusals(text):
    assert not is_refusal(text)
    assert not is_refusal(f" {text}.")


def test_plain_sentences_spell_contractions_out():
    assert plain_sentences("I don't know -- it isn't said!") == "i do not know. it is not said."
    assert plain_sentences(" Can't,  won't.\nN/A") == "can not will not. n/a."


def test_patterns_are_the_callers():
    assert is_refusal("Ask my lawyer.", [r"\bask my lawyer\b"])
    assert not is_refusal("I don't know.", [r"\bask my lawyer\b"])
