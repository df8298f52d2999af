"""Requests, responses and streams of Anthropic, as JSON values."""
