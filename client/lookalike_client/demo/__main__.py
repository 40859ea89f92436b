"""`python -m lookalike_client.demo [--images DIR] [--out build/demo]`."""

from lookalike_client.demo.program import main

if __name__ == "__main__":
    raise SystemExit(main())
