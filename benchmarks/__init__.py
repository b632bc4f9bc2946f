"""What the claims of speed and of statistics are measured with; each module is a command."""
