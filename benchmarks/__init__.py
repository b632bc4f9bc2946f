"""The commands that measure what this project claims about its speed, its statistics and its pictures."""
