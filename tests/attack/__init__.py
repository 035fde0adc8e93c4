"""What strangers may send, against real processes on this machine: `python -m tests.attack`."""
