"""milter-greylist's language: statements, lists and access rules; see Policy.py."""
