"""The HTTP collector: takes records from applications and keeps them in a spool, which `collect` reads.

`app.py` answers requests, `check.py` says which records can be used, `spool.py` makes them durable, `drain.py` is
the other end of the spool.
"""
