"""What a request costs: hubgate beside the proxies that hubs have today, in one run."""
