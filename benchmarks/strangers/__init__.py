"""How proxies hold against strangers: others' latency, memory, repeated requests, silence."""
