# Made by client/unasync.py from _async/__init__.py: change that file, then `make unasync`.
"""The blocking client."""
