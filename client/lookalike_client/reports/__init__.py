"""Reports as pages that stand alone: one HTML file, in light and dark, without a network."""
