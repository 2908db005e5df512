"""What can be said on the command line of kamaelia-grey, and what comes of it."""
