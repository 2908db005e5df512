"""Where mail comes in: the SMTP proxy."""
