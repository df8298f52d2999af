"""Requests, answers and streams of Gemini, as JSON values."""
