"""From passages to a checked answer; no engine, no server."""
