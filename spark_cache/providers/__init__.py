"""The requests and responses of each provider, as JSON values. No SDK, no clock, no socket."""
