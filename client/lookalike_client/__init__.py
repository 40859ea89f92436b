"""Python SDK and command line of Lookalike."""
