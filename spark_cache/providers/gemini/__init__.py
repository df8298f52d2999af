"""Requests, responses and streams of Gemini, as JSON values."""
