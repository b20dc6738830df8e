"""Puts each row on one side of the split, for ever."""
