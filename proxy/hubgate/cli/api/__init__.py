"""How a command finds a running hubgate's API, proves who asks, and talks to it."""
