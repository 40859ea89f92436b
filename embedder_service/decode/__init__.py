"""Files of unknown origin to pixels, in processes that may die for it."""
