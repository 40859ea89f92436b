"""Vectors from files that other programs wrote: what is read, guessed and stored."""

from lookalike_client.tables.plan import Choice, Plan, plan_import
from lookalike_client.tables.run import TableImport

__all__ = ["Choice", "Plan", "TableImport", "plan_import"]
