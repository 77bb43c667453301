"""`python -m mania4k` is `mania4k`."""

from mania4k.cli import main

if __name__ == "__main__":
    main(prog_name="mania4k")
