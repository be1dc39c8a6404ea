"""``make bench``: maysend beside hand-written queries on the same data, in turn, in one run."""
