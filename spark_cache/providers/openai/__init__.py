"""Requests, responses and streams of OpenAI, as JSON values."""
