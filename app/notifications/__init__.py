"""Notifications in the application: steps of the other side, reminders, payouts, messages of staff."""
