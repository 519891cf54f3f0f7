"""`python -m perpmaker` and the `perpmaker` command."""

from perpmaker.cli.main import main

if __name__ == "__main__":
    main()
