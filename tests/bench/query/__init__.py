"""Measurements of filtered and listed queries."""
