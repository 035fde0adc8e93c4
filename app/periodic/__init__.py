"""The periodic jobs as the application sees them: how often each should run, and when it last did its work."""
