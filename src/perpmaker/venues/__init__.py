"""Adapters: the venues' protocols turned into model events and back."""
