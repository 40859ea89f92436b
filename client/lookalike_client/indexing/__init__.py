"""Indexing files: finding them, leaving out what is stored, following what becomes of them."""
