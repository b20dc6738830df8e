"""A server for clients that connect many times at once."""

from http.server import ThreadingHTTPServer


class CrowdServer(ThreadingHTTPServer):
    """The library lets 5 connections wait to be taken, and Linux hangs up on who comes when there are more."""

    request_queue_size = 128
