"""Jobs are done once each, wherever they are done; a cluster survives the death of a node."""

import os
import re
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from types import FunctionType, ModuleType

import click
import numpy as np
import pytest
from click.testing import CliRunner

from runtime.command import Command
from runtime.errors import ConfigError
from runtime.workers import Workers, _importable, all_results, results, use_one_thread, worker_options


def square(number: int) -> tuple[int, int]:
    return number * number, os.getpid()


def slowly(job: tuple[int, str]) -> int:
    """A job that leaves a trace of every time it is begun."""
    number, folder = job
    with (Path(folder) / f"{number}.txt").open("a", encoding="utf-8") as file:
        file.write("begun\n")
    time.sleep(0.5)
    return number


def doubled(values: np.ndarray) -> np.ndarray:
    """A job that writes into what it is given."""
    values *= 2
    return values


@pytest.mark.parametrize("count", [1, 2])
def test_every_job_is_done_once(count):
    found = dict(results(square, range(20), Workers(count)))
    assert {number: value for number, (value, _) in found.items()} == {number: number**2 for number in range(20)}
    processes = {process for _, process in found.values()}
    assert (processes == {os.getpid()}) == (count == 1)


def test_no_jobs_need_no_workers():
    assert list(results(square, [], Workers(3))) == []


def test_workers_use_one_thread(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    import torch

    threads = torch.get_num_threads()
    try:
        use_one_thread()
        assert os.environ["OMP_NUM_THREADS"] == "1"
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(threads)


def test_the_number_of_workers_is_bounded():
    with pytest.raises(ConfigError, match=r"--workers 65: must be 0 \(one a core\) to 64"):
        Workers(65)


@pytest.mark.parametrize("count", [1, 2])
def test_all_results_come_in_the_order_of_the_jobs(count, capsys, monkeypatch):
    def last_first(*arguments):
        return reversed(list(results(*arguments)))

    monkeypatch.setattr("runtime.workers.results", last_first)
    assert [number for number, _ in all_results(square, range(6), Workers(count), "counting")] == [0, 1, 4, 9, 16, 25]
    assert "counting" in capsys.readouterr().err


def test_a_command_gets_its_workers():
    @click.command(cls=Command)
    @worker_options(default=3)
    def command(workers: Workers) -> None:
        click.echo(workers)

    def said(*arguments: str) -> str:
        return CliRunner().invoke(command, arguments).output.strip()

    assert said() == str(Workers(3))
    assert said("--workers", "2", "--ray", "head:6379") == str(Workers(2, "head:6379"))
    assert said("--workers", "-1") == "error: --workers -1: must be 0 (one a core) to 64"


def test_nodes_get_a_command_s_function_by_its_module(monkeypatch):
    """As if this module ran by `python -m`: what nodes import is not the copy in `__main__`."""
    main = ModuleType("__main__")
    main.__spec__ = find_spec(__name__)
    monkeypatch.setitem(sys.modules, "__main__", main)
    of_main = FunctionType(square.__code__, {"__name__": "__main__"}, "square")
    assert of_main.__module__ == "__main__"
    assert _importable(of_main) is square
    assert _importable(square) is square


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # Ray's own
def test_a_cluster_loses_a_node_and_no_job(tmp_path):
    """Two nodes on this machine; one dies when the first results are there. Nothing is lost, nothing comes twice."""
    pytest.importorskip("ray", reason="Ray is not installed (pip install mania4k[ray])")
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        second = cluster.add_node(num_cpus=1)
        jobs = [(number, str(tmp_path)) for number in range(16)]
        found = []
        for number, result in results(slowly, jobs, Workers(ray=cluster.address)):
            found.append((number, result))
            if len(found) == 3:
                cluster.remove_node(second, allow_graceful=False)
        assert sorted(found) == [(number, number) for number in range(16)]
        begun = [len(path.read_text(encoding="utf-8").split()) for path in tmp_path.iterdir()]
        assert len(begun) == 16
        assert sum(begun) >= 16
        large = [np.full(200_000, float(number)) for number in range(4)]
        arrays = all_results(doubled, large, Workers(ray=cluster.address), "doubling")
        assert [float(one.mean()) for one in arrays] == [0.0, 2.0, 4.0, 6.0]  # Ray's own memory is gone by now
        assert all(one.flags.writeable for one in arrays)
    finally:
        cluster.shutdown()


def test_a_cluster_that_is_not_there_is_named_at_once(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", ModuleType("ray"))  # it is not asked
    for address, words in (("127.0.0.1:1", "no Ray cluster answers there"), ("somewhere", "as HOST:PORT, such as")):
        with pytest.raises(ConfigError, match=f"--ray {re.escape(address)}: .*{words}"):
            list(results(square, [1], Workers(ray=address)))
