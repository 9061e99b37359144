"""The published benchmarks, read from the user's own checkouts: none of their files is kept here."""
