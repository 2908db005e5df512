"""Components that read and write files."""
