"""Ways to the stores that processes share: clients and connections, and no word of what is kept."""
