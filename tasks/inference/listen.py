"""Ports that servers of ours listen on."""

import ipaddress
import socket

from configs.mistake import Mistake


class ListenError(Mistake):
    """An address that cannot be listened on; the message says why."""


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches `host`, a name or an address."""
    try:
        found = socket.getaddrinfo(host, None)
    except OSError:
        return False
    return all(ipaddress.ip_address(str(address[0]).partition("%")[0]).is_loopback for *_, address in found)


def listening(host: str, port: int, backlog: int) -> socket.socket:
    """A socket that listens.

    Args:
        host: name or address.
        port: 0 takes a free one.
        backlog: connections that wait to be taken.

    Raises:
        ListenError: the port is taken, or the address is not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=backlog)
    except OSError as error:
        raise refused(host, port, error) from error


def refused(host: str, port: int, error: OSError) -> ListenError:
    """What to tell whoever wanted to listen there."""
    return ListenError(
        f"Cannot listen on {host}, port {port}: {error.strerror}; choose another with --host and --port."
    )


def address(listener: socket.socket) -> str:
    """Where it listens, as a URL."""
    name, number = listener.getsockname()[:2]
    return f"http://{f'[{name}]' if ':' in name else name}:{number}"
