"""One call of a model: look up, ask the provider, judge the answer, store it."""
