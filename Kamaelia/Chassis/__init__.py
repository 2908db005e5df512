"""Components that wire others together."""
