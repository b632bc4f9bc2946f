"""What tests share: runs of the real commands, tiny networks, oracles, servers, a browser."""
