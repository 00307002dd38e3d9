"""What states compute with: inputs, exact sums, keys, hashes, the order of rows, and checks of what files say."""
