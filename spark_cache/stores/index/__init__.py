"""The index of a file store: one SQLite database that counts and orders the entries. It is derived from the files."""
