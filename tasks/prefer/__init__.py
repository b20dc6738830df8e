"""Turns feedback into preferences: pairs and labels."""
