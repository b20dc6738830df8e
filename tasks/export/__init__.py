"""Turns a model of the registry into files that other programs serve."""
