"""What works off the queue: a cluster of workers, and a watchdog that keeps it going."""
