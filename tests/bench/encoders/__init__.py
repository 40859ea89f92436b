"""Figures of encoders: exactness, whole pictures, projections, looks."""
