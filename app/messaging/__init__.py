"""Mail and text messages that leave the platform. What carries them is a provider, chosen by settings."""
