"""Files that lack their end: how many rows came, and the picture of those."""
