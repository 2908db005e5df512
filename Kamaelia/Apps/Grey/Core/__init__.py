"""The greylisting policy: pure functions and frozen values."""
