"""The trace that a server of OpenAI's kind is told of, so that its own spans join ours."""

from hyperinfer.facilities.tracing import CURRENT, Kind, Tracer

from .test_openai_backend import house


async def test_a_server_is_told_of_a_trace_that_is_recorded_and_of_no_other() -> None:
    span = Tracer(lambda _: None).start("chat m", Kind.CLIENT)
    assert span is not None
    async with house() as running:
        await running.there()
        await running.chat()
        token = CURRENT.set(span)
        await running.chat()
        CURRENT.reset(token)
        headers = [one.headers for one in running.server.record.asked if one.path.endswith("/chat/completions")]
    assert [one.get("traceparent") for one in headers] == [None, span.traceparent]
