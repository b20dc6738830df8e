"""The forms that records come in. To add one: a module here with `FORMAT`, and its name in `registry.py`."""
