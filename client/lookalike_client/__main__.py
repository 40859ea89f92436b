"""`python -m lookalike_client`: the same as the `lookalike` command."""

from lookalike_client.cli.main import main

if __name__ == "__main__":
    main()
