"""Background work with RQ: job functions (they take ids and call services, nothing else), worker, relay, scheduler."""
