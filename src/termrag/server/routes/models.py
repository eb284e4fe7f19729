"""Models: what there is, fetched, chosen, loaded and unloaded; answers in hand finish on the old one."""

from __future__ import annotations

import time

from termrag.records import ModelInfo
from termrag.server.jobs import Job
from termrag.server.operations import Call, Operation, Scope
from termrag.server.results import Done, Models, ModelStatus


async def models(call: Call) -> Models:
    """The catalogue, with what is here and what is in use."""
    return Models(tuple(await call.rag.models()))


async def model_status(call: Call) -> ModelStatus:
    """What is chosen, what is loaded, and how busy it is."""
    state, status = call.state, await call.rag.status()
    return ModelStatus(
        engine=status.engine,
        chat=status.model,
        is_here=status.model_is_here,
        loaded=call.rag.loaded_model,
        embedding=status.embedder,
        answers_in_progress=state.runs.active,
        questions_waiting=state.turnstile.waiting,
        idle_s=0.0 if state.runs.active else round(time.monotonic() - state.asked_at, 1),
        keep_alive_s=state.settings.keep_alive_s,
    )


async def model(call: Call) -> ModelInfo:
    """One model."""
    return await call.rag.model(call.path("model"))


async def pull(call: Call) -> Job:
    """Fetch a model in a job."""
    info = await call.rag.model(call.path("model"))
    return call.state.jobs.add("pull", (info.name,))


async def use(call: Call) -> Done:
    """Use a model from the next question on."""
    return Done(await call.rag.use(call.path("model")))


async def load(call: Call) -> Done:
    """Make the models in use ready."""
    async for _ in call.rag.load_models():
        pass
    return Done("the models are ready")


async def unload(call: Call) -> Done:
    """Free the models."""
    await call.rag.unload_models()
    return Done("the models are unloaded")


_M = "/api/v1/models"

OPERATIONS = (
    Operation("GET", _M, models, "List the models", "models", Scope.READ, result=Models),
    Operation("GET", f"{_M}/status", model_status, "What is loaded", "models", Scope.READ, result=ModelStatus),
    Operation("POST", f"{_M}/load", load, "Load the models in use", "models", Scope.ADMIN, result=Done),
    Operation("POST", f"{_M}/unload", unload, "Free the models", "models", Scope.ADMIN, result=Done),
    Operation("GET", f"{_M}/{{model}}", model, "Show a model", "models", Scope.READ, result=ModelInfo),
    Operation("POST", f"{_M}/{{model}}/pull", pull, "Fetch a model", "models", Scope.ADMIN, result=Job, status=202),
    Operation("POST", f"{_M}/{{model}}/use", use, "Use a model", "models", Scope.ADMIN, result=Done),
)
