"""Requests, answers and streams of Amazon Bedrock, as JSON values."""
