"""Loops over memory that neither NumPy nor usearch runs well, compiled by Numba.

All of them let go of the interpreter, work on arrays that the caller made, and are
compiled when they are first called; the result is kept on the disk. See `warm_up`.
"""
