"""The greylisting SMTP proxy."""
