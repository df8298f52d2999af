"""The way of a lookup and a write through one cache directory."""
