"""The vocabulary of the house: values, events, errors and ports. Standard library only, no I/O."""
