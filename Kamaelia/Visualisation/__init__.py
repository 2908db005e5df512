"""What is needed to show how a program is put together."""
