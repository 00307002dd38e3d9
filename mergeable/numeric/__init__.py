"""Arithmetic for states: inputs, exact sums, keys, hashes, the order of rows, and checks of saved values."""
