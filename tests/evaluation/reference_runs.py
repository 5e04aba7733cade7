"""Runs of tokens, as plain loops."""


def longest_runs(said, text, nowhere=-1):
    """For each token, the longest run up to it that stands in the text, and its first start."""
    lengths, starts = [], []
    for stop in range(1, len(said) + 1):
        best, where = 0, 0
        for length in range(1, stop + 1):
            run = said[stop - length : stop]
            for start in range(len(text) - length + 1):
                if text[start : start + length] == run and nowhere not in run:
                    if length > best:
                        best, where = length, start
                    break
        lengths.append(best)
        starts.append(where)
    return lengths, starts


def longest_circle(said, n_times):
    """Tokens in the longest stretch that repeats its first few `n_times` or more."""
    longest = 0
    for start in range(len(said)):
        for stop in range(start + 1, len(said) + 1):
            stretch = said[start:stop]
            for period in range(1, len(stretch) // n_times + 1):
                if all(token == stretch[i % period] for i, token in enumerate(stretch)):
                    longest = max(longest, len(stretch))
    return longest
