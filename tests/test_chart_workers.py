"""Jobs are done once each, wherever they are done; a cluster survives the death of a node."""

import os
import re
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest

from chart.errors import ConfigError
from chart.workers import Workers, results, use_one_thread


def square(number: int) -> tuple[int, int]:
    return number * number, os.getpid()


def slowly(job: tuple[int, str]) -> int:
    """A job that leaves a trace of every time it is begun."""
    number, folder = job
    with (Path(folder) / f"{number}.txt").open("a", encoding="utf-8") as file:
        file.write("begun\n")
    time.sleep(0.5)
    return number


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
    finally:
        cluster.shutdown()


def test_a_cluster_that_is_not_there_is_named_at_once(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", ModuleType("ray"))  # it is not asked
    for address, words in (("127.0.0.1:1", "no Ray cluster answers there"), ("somewhere", "as HOST:PORT, such as")):
        with pytest.raises(ConfigError, match=f"--ray {re.escape(address)}: .*{words}"):
            list(results(square, [1], Workers(ray=address)))
