"""Fitting projections: vectors from wherever they are, to a file for the embedder."""
