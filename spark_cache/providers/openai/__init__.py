"""Requests, answers and streams of OpenAI, as JSON values."""
