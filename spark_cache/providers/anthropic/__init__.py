"""Requests, answers and streams of Anthropic, as JSON values."""
