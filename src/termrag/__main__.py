"""The entry point of `termrag` and of `python -m termrag`."""

from __future__ import annotations


def main() -> None:
    from termrag.cli import run

    run()


if __name__ == "__main__":
    main()
