"""What each provider is asked and answers, as JSON values. No SDK, no clock, no socket."""
