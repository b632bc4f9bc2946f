"""The commands that measure what this project claims about its speed and its statistics."""
