"""RQ: job functions (ids in, service calls, nothing else), the worker, the relay and the schedule."""
