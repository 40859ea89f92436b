"""Networks, their weights, and the one module that maps pixels to features."""
