"""Requests, responses and streams of Amazon Bedrock, as JSON values."""
