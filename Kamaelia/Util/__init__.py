"""Small general components, one idea a file."""
