"""How an API key is shown to a server."""


def bearer(key: str | None) -> dict[str, str]:
    """The header with an API key; none without a key."""
    return {"Authorization": f"Bearer {key}"} if key else {}
