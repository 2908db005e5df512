"""Who was seen when: the memory of the greylister."""
