"""What a request costs: hubgate compared with the proxies that hubs use today, in one run."""
