"""Request handlers for the HTTP server."""
