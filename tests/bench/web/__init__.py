"""Figures of the page's server: `make bench-web`."""
