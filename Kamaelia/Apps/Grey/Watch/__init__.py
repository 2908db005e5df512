"""What is written down about what happens."""
