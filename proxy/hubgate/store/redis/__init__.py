"""Routes in Redis (or Valkey), shared by several hubgates."""
