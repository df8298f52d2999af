"""The index of a file store: what it holds, without listing its folders."""
