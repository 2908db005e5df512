"""Applications built from the components."""
