"""Lists of words as lines of text, and back."""
