"""Sources of values that go on by themselves."""
