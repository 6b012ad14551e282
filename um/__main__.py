"""`python -m um` is the same as `um`."""

from um.cli import main

if __name__ == "__main__":
    main()
