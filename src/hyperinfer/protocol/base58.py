"""Base58: bytes as one word without look-alike characters, selected whole by a double click. Pure.

Bitcoin's alphabet, and a `1` for each leading zero byte.
"""

ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"

_VALUES = {char: value for value, char in enumerate(ALPHABET)}


def encode(content: bytes) -> str:
    """The bytes as a word."""
    number = int.from_bytes(content, "big")
    digits = ""
    while number:
        number, digit = divmod(number, len(ALPHABET))
        digits = ALPHABET[digit] + digits
    zeros = len(content) - len(content.lstrip(b"\0"))
    return ALPHABET[0] * zeros + digits


def decode(word: str) -> bytes:
    """The bytes of a word; it takes the square of its length, which the caller bounds. Raises `ValueError`."""
    number = 0
    for char in word:
        if char not in _VALUES:
            raise ValueError(f"{char!r} is not in the alphabet of base58.")
        number = number * len(ALPHABET) + _VALUES[char]
    zeros = len(word) - len(word.lstrip(ALPHABET[0]))
    return b"\0" * zeros + number.to_bytes((number.bit_length() + 7) // 8, "big")
