"""The inference worker: its parts and how they are put together."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from hyperinfer.kernel.calls import Caller
from hyperinfer.kernel.worker import Context, Service, WorkerType
from hyperinfer.workers.inference.backends.echo.backend import Echo
from hyperinfer.workers.inference.backends.llamacpp.backend import LlamaCpp, open_llamacpp
from hyperinfer.workers.inference.backends.ollama.backend import open_ollama
from hyperinfer.workers.inference.backends.openai.backend import open_openai
from hyperinfer.workers.inference.backends.openai.servers import servers_of
from hyperinfer.workers.inference.cache import open_cache
from hyperinfer.workers.inference.config import InferenceSettings
from hyperinfer.workers.inference.meters import Meters
from hyperinfer.workers.inference.methods import InferenceMethods
from hyperinfer.workers.inference.service import InferenceService


@asynccontextmanager
async def open_inference(context: Context[InferenceSettings], own: Caller) -> AsyncIterator[Service]:
    """Run an inference worker; its models load while it is already found and asked."""
    settings = context.settings
    meters = Meters(context.registry, context.clock)
    async with AsyncExitStack() as parts:
        cache = await parts.enter_async_context(
            open_cache(
                settings.cache,
                secret=context.swarm.secret("response cache"),
                clock=context.clock,
                registry=context.registry,
            )
        )
        service = InferenceService(settings, clock=context.clock, meters=meters, cache=cache)
        if settings.llamacpp.enabled:
            service.add(
                await parts.enter_async_context(
                    open_llamacpp(
                        settings.llamacpp,
                        data=context.paths.data,
                        models=context.paths.models,
                        default=settings.default_model,
                        clock=context.clock,
                        changed=service.refresh,
                        restarted=meters.restarts.labels(LlamaCpp.name).inc,
                    )
                )
            )
        if settings.ollama.enabled:
            await parts.enter_async_context(
                open_ollama(settings.ollama, clock=context.clock, changed=service.refresh, found=service.add)
            )
        for server in servers_of(settings.openai):
            service.add(
                await parts.enter_async_context(open_openai(server, clock=context.clock, changed=service.refresh))
            )
        if settings.echo.enabled:
            service.add(Echo(settings.echo, context.clock, service.refresh))
        yield Service(
            routes=InferenceMethods(service).routes(),
            announces=("inference", "processor"),
            not_ready=service.not_ready,
            on_drain=service.drain,
        )


WORKER = WorkerType(name="inference", settings=InferenceSettings, observe_port=9102, open=open_inference)
