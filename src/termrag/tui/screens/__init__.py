"""The screens, each imported when it is first opened; the table of them is in `termrag.tui.app`."""
