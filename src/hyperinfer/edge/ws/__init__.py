"""The WebSocket `/ws`: several conversations at once on one socket, as `contracts/ws.py` has its messages."""

from hyperinfer.edge.ws.route import PATH, WebSocketRoute

__all__ = ["PATH", "WebSocketRoute"]
