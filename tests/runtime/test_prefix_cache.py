"""Keys and values that grow in place."""

import torch
from transformers import DynamicCache

from rh_lens.runtime.prefix_cache import PrefixCache


def states(n_tokens, seed, batch=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, batch, 2, n_tokens, 4, generator=generator)


def test_it_holds_what_hugging_faces_own_cache_holds():
    """10 tokens, 3 more, 5 of the 13 cut away, then 2, 1 and 30: beyond the room of 16."""
    ours, theirs = PrefixCache(2, n_room=16), DynamicCache()
    for seed, step in enumerate([10, 3, -5, 2, 1, 30]):
        for layer in range(2):
            if step > 0:
                new = states(step, 2 * seed + layer)
                found, expected = ours.update(*new, layer), theirs.update(*new, layer)
                assert torch.equal(torch.stack(found), torch.stack(expected))
        if step < 0:
            ours.crop(step)
            theirs.crop(step)
        assert ours.get_seq_length() == theirs.get_seq_length()
    assert ours.get_seq_length() == 41


def test_a_token_is_written_where_there_is_room_for_it():
    """Nothing is copied for 16 tokens; the 17th moves them to a buffer with room for 128 more."""
    cache = PrefixCache(1, n_room=16)
    places, sizes = [], []
    for token in range(17):
        keys, _ = cache.update(*states(1, token), 0)
        places.append(keys.data_ptr())
        sizes.append(keys.untyped_storage().nbytes() // (2 * 4 * 4))
    assert len(set(places[:16])) == 1
    assert sizes == [16] * 16 + [17 + 128]


def test_what_was_cut_away_is_overwritten_in_place():
    cache = PrefixCache(1, n_room=8)
    place = cache.update(*states(6, 0), 0)[0].data_ptr()
    cache.crop(-4)
    new = states(3, 1)
    keys, values = cache.update(*new, 0)
    assert keys.data_ptr() == place
    assert torch.equal(keys[:, :, 2:], new[0])
    assert torch.equal(values[:, :, :2], states(6, 0)[1][:, :, :2])
