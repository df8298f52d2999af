"""Capture the requests that SDKs and frameworks send, because keys are made of them."""
