"""The contract of configurable-http-proxy as a black-box suite: it takes any proxy command."""
