"""API keys: their form, their checksum, and what is stored of them."""

import re

from hypothesis import given
from hypothesis import strategies as st

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
        assert parsed.text == text


@given(st.text())
def test_other_text_is_no_key(text: str) -> None:
    assert api_keys.parse(text) is None


@given(st.integers(min_value=0, max_value=60), st.sampled_from(api_keys.ALPHABET))
def test_a_changed_character_is_noticed(at: int, letter: str) -> None:
    text = api_keys.mint().text
    changed = text[:at] + letter + text[at + 1 :]
    assert (api_keys.parse(changed) is None) == (changed != text)


def test_what_is_stored_is_the_sha_256_of_the_whole() -> None:
    # FIPS 180-4, example for "abc".
    assert api_keys.digest("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
