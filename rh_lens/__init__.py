"""rh_lens."""
