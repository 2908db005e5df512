"""Components whose interface may still change."""
