"""The command line: one command, `mania4k`, with a verb for everything the project does."""
