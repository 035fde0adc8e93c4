"""Searches that users save, to hear of new goods that fit."""
