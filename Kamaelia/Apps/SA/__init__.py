"""Small pieces for applications: time, sinks for tests, a time to live."""
