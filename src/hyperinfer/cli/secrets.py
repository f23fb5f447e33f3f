"""Secrets that a person gives: asked for on a terminal and not shown there, else read from standard input, a line each."""

import sys

import click

from hyperinfer.errors import BadRequest


def password(title: str = "Password") -> str:
    """A password, or another secret, that there is already. Raises `BadRequest` where none is given."""
    if sys.stdin.isatty():
        given: str = click.prompt(title, hide_input=True, err=True)
        return given
    return line(title)


def new_password(title: str = "New password") -> str:
    """A password to be set; on a terminal it is typed twice. Raises as `password`."""
    if sys.stdin.isatty():
        given: str = click.prompt(title, hide_input=True, confirmation_prompt="The same again", err=True)
        return given
    return line(title)


def line(title: str) -> str:
    """A line of standard input, or what is typed. Raises `BadRequest` where there is none."""
    if sys.stdin.isatty():
        given: str = click.prompt(title, err=True)
        return given
    text = sys.stdin.readline().rstrip("\r\n")
    if not text:
        raise BadRequest(f"{title}: standard input holds no line for it. See --help for what is read there.")
    return text
