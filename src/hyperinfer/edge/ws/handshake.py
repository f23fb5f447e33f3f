"""A WebSocket's handshake seen as the HTTP request that it is: checked like every other one, and refused as those are."""

from starlette.types import Message, Send

METHOD = "CONNECT"
"""What a handshake is taken for: its method in HTTP/2 (RFC 8441), and one that pages of other sites may not use unasked."""


def refusing(send: Send) -> Send:
    """What sends an answer over HTTP instead of accepting (ASGI's extension `websocket.http.response`), and none after."""
    accepted = False

    async def answer(message: Message) -> None:
        nonlocal accepted
        if message["type"].startswith("http.response"):
            if accepted:
                return
            message = {**message, "type": f"websocket.{message['type']}"}
        accepted = accepted or message["type"] == "websocket.accept"
        await send(message)

    return answer
