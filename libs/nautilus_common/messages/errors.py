"""What can be wrong with bytes that came from outside."""


class DecodeError(ValueError):
    """Bytes that are not a message or a block of ours. The text says what was found and what is wrong with it."""
