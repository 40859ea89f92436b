"""Which cosine tells what is alike from what is not, and how sure that is."""
