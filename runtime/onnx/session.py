"""onnxruntime on the requested device: CPU, CUDA, ROCm or DirectML."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass
from typing import Any

import onnxruntime

from runtime.errors import CheckpointError, ConfigError

PROVIDERS = {
    "cuda": ("CUDAExecutionProvider",),
    "rocm": ("MIGraphXExecutionProvider", "ROCMExecutionProvider"),  # the second in builds before 1.23
    "dml": ("DmlExecutionProvider",),
    "directml": ("DmlExecutionProvider",),
    "cpu": ("CPUExecutionProvider",),
}
"""By the name of `--device`; `auto` takes the first that this build of onnxruntime has."""
PACKAGES = {"cuda": "onnxruntime-gpu", "rocm": "onnxruntime-migraphx", "dml": "onnxruntime-directml (Windows)"}
"""The package that brings a device; only one package of onnxruntime can be installed at a time."""


@dataclass(frozen=True)
class Provider:
    """Execution provider of a device."""

    device: str  # as in `--device`, with its number where one was given
    name: str
    options: dict[str, str]


@dataclass(frozen=True)
class Session:
    """An open network and the device on which it runs."""

    session: onnxruntime.InferenceSession
    device: str
    notice: str = ""  # one line where the device that was chosen did not start, and the CPU took its place

    def run(self, outputs: list[str], inputs: dict[str, Any]) -> list[Any]:
        """The named outputs for these inputs."""
        return list(self.session.run(outputs, inputs))


def pick_provider(device: str) -> Provider:
    """The provider of a `--device` such as cpu, cuda:1 or dml. Raises ConfigError where this build has none for it."""
    usable = usable_devices()
    if device == "auto":
        name = next(iter(usable))
        return Provider(name, usable[name], {})
    name, _, number = device.partition(":")
    if name not in usable or (number and not number.isdecimal()):
        package = f" (it comes with {PACKAGES[name]})" if name in PACKAGES and name not in usable else ""
        raise ConfigError(
            f"--device {device}: this onnxruntime cannot use it{package}; choose auto or {', '.join(usable)}"
        )
    return Provider(device, usable[name], {"device_id": number} if number else {})


def usable_devices() -> dict[str, str]:
    """Names of `--device` that this build of onnxruntime has a provider for → that provider."""
    available = onnxruntime.get_available_providers()
    found = {name: [one for one in providers if one in available] for name, providers in PROVIDERS.items()}
    return {name: providers[0] for name, providers in found.items() if providers}


def open_session(content: bytes, device: str, name: str) -> Session:
    """Open the network `content` on `device`; `name` stands in errors.

    Raises ConfigError for a device that this build cannot use, CheckpointError for a network that it cannot read. A
    device that the build has but that does not start (no driver, no such card) is replaced by the CPU, with a notice.
    """
    provider = pick_provider(device)
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 3  # warnings about nodes placed on the CPU are no concern of the user
    settings.intra_op_num_threads = int(os.environ.get("OMP_NUM_THREADS", "0"))  # as torch and numpy; 0: all cores
    settings.add_session_config_entry(
        "session.intra_op.allow_spinning", "0"
    )  # waiting threads hold up what runs beside
    settings.enable_cpu_mem_arena = False  # it keeps the most that a run ever took, for as long as the session is open
    if provider.name == "DmlExecutionProvider":
        settings.enable_mem_pattern = False  # DirectML requires both
        settings.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    try:
        session = _started(content, settings, provider)
    except Exception as error:
        reason = str(error).splitlines()[0][:200]
        raise CheckpointError(f"{name}: onnxruntime cannot open it ({reason}); export it again") from error
    if session.get_providers()[0] == provider.name:
        return Session(session, provider.device)
    return Session(session, "cpu", f"{provider.device} does not start ({provider.name}); the CPU is used instead")


def _started(content: bytes, settings: onnxruntime.SessionOptions, provider: Provider) -> onnxruntime.InferenceSession:
    """A session on the provider, or on the CPU where it cannot start."""
    cpu = PROVIDERS["cpu"][0]
    if provider.name == cpu:
        return onnxruntime.InferenceSession(content, settings, providers=[cpu])
    try:
        wanted = [(provider.name, provider.options), cpu]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about a provider that it then does without; the caller says so
            return onnxruntime.InferenceSession(content, settings, providers=wanted)
    except Exception:  # onnxruntime's own classes are not public, and share no base but this
        return onnxruntime.InferenceSession(content, settings, providers=[cpu])
