"""The server: the documented API over HTTP, for programs on this machine and those that are let in."""
