"""Runs what README.md and docs/ show: every command, every snippet."""
