"""Machines that share what they know: see SyncService."""
