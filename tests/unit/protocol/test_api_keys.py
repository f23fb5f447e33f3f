"""API keys: their form, and what is stored of them."""

import re

from hyperinfer.protocol import api_keys


def test_a_key_has_the_form_that_scanners_look_for() -> None:
    key = api_keys.mint()
    assert re.fullmatch(r"hi_[0-9A-Za-z]{8}_[0-9A-Za-z]{49}", key.text)
    assert key.text.startswith(f"{key.prefix}_")
    assert key.text not in repr(key)


def test_a_minted_key_is_understood_and_no_two_are_alike() -> None:
    keys = {api_keys.mint().text for _ in range(1000)}
    assert len(keys) == 1000
    for text in keys:
        parsed = api_keys.parse(text)
        assert parsed is not None
        assert (parsed.text, parsed.prefix) == (text, text[:11])


def test_the_checksum_is_the_crc_of_all_before_it() -> None:
    # CRC-32 by the polynomial of IEEE 802.3, written out here: 0xFFFFFFFF is 4gfFC3 in base62.
    body = f"hi_{'0' * 8}_{'0' * 43}"
    crc = 0xFFFFFFFF
    for byte in body.encode():
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xEDB88320 if crc & 1 else 0)
    number, digits = crc ^ 0xFFFFFFFF, ""
    while number:
        number, digit = divmod(number, 62)
        digits = api_keys.ALPHABET[digit] + digits
    assert api_keys.parse(body + digits.rjust(6, "0")) is not None


def test_what_is_stored_is_the_sha_256_of_the_whole() -> None:
    # FIPS 180-4, example for "abc".
    assert api_keys.digest("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    key = api_keys.mint()
    assert key.digest == api_keys.digest(key.text)
