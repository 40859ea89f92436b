"""Whether queries are what they were: a reference, and a sequential test against it."""
