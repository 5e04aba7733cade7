import pytest

from rh_lens.runtime import Draft, DraftMemory

NEEDLE = [10, 11, 12, 13, 14, 15]


def decode(truth, draft, room=40):
    """Passes that greedy decoding takes when the model says `truth`, with rows in each."""
    said, rows = [], []
    while len(said) < len(truth):
        proposed = draft.propose(said, min(room, len(truth)) - len(said) - 1)
        model_says = [
            truth[len(said) + n] if proposed[:n] == truth[len(said) : len(said) + n] else -1
            for n in range(len(proposed) + 1)
        ]
        n_right = draft.judge(proposed, model_says)
        said += model_says[: n_right + 1]
        rows.append(1 + len(proposed))
    assert said == truth
    return rows


def test_a_right_guess_takes_one_pass():
    truth = [1, 2, 3, 4, 5]
    draft = Draft(guesses=[truth])
    assert decode(truth, draft) == [5]
    assert (draft.n_proposed, draft.n_accepted) == (4, 4)


def test_after_a_mismatch_the_last_tokens_are_looked_up_in_the_needle():
    """The model says one token of its own, then copies the needle from its second token."""
    truth = [99, 11, 12, 13, 14, 15]
    rows = decode(truth, Draft(guesses=[NEEDLE], texts=[NEEDLE]))
    assert rows == [6, 1, 4]  # refused at once; nothing to look up; looked up


def test_an_allowance_spent_comes_back_when_a_guess_is_seen_to_be_right():
    draft = Draft(texts=[NEEDLE], allowance=0)
    assert decode(NEEDLE, draft) == [1, 1, 4]


def test_a_model_that_goes_round_and_round_is_guessed():
    truth = [1, 2, 3] * 12
    assert sum(decode(truth, Draft())) <= 2 * len(truth)
    assert len(decode(truth, Draft())) < 12


@pytest.mark.parametrize("allowance", [4, 16, 64])
def test_a_model_that_never_follows_costs_a_bounded_number_of_rows(allowance):
    """Whatever is looked up is wrong: 4/3 of the first allowance at most, then single rows."""
    truth = list(range(100, 140))
    texts = [[n, *range(200, 300)] for n in truth]
    rows = decode(truth, Draft(guesses=[list(range(500, 600))], texts=texts, allowance=allowance))
    assert len(rows) == len(truth)
    assert sum(rows) - len(truth) <= 4 / 3 * allowance


def test_no_more_is_proposed_than_there_is_room_for():
    assert Draft(guesses=[NEEDLE]).propose([], 2) == NEEDLE[:2]
    assert Draft(guesses=[NEEDLE]).propose([], 0) == []


class TestMemory:
    def test_a_new_question_is_expected_to_get_its_needles_answer(self):
        draft = DraftMemory(closing=[1]).draft("q", NEEDLE, (2, 4))
        assert draft.propose([], 40) == [12, 13, 1]
        assert draft.propose([12, 13, 14], 40) == [15, 1]

    def test_the_last_answer_is_the_best_guess_at_the_next(self):
        memory = DraftMemory()
        memory.learn("q", [12, 13], [7, 8, 9], Draft())
        assert memory.draft("q", NEEDLE, (2, 4)).propose([], 40) == [7, 8, 9]

    def test_answers_to_other_questions_teach_how_an_answer_ends(self):
        memory = DraftMemory(closing=[1])
        memory.learn("q", [12, 13], [12, 13, 14, 77], Draft())
        assert memory.draft("r", [20, 21], (1, 2)).propose([], 40) == [21, 14, 77]

    def test_a_run_of_refusals_makes_first_guesses_short_and_a_hit_long_again(self):
        memory = DraftMemory()
        for said in ([5], [6]):
            draft = memory.draft("q", NEEDLE, (0, 6))
            draft.judge(draft.propose([], 40), [said[0]] * 7)
            memory.learn("q", NEEDLE, said, draft)
        assert memory.draft("q", NEEDLE, (0, 6)).allowance == 16
        draft = Draft()
        draft.judge([1, 2], [1, 2, 3])
        memory.learn("q", NEEDLE, [1, 2, 3], draft)
        assert memory.draft("q", NEEDLE, (0, 6)).allowance == 64
