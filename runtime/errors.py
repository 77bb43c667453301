"""Errors a user can cause and mend, in one small tree.

    Mania4KError
    ├── ChartFileError      a chart or archive that cannot be read, or a chart that is not valid 4K
    │   └── OtherGameError  a sound chart of another mode or number of keys
    ├── AudioFileError      audio that cannot be decoded or used
    ├── CheckpointError     weights that are missing, damaged or of another version
    ├── ConfigError         options that contradict one another or are out of range
    ├── OutputError         a result that cannot be written to the requested place
    └── WorkerError         a worker process that was killed

A message says where, what and what to do about it; commands print it as one line and exit with status 1.
"""


class Mania4KError(Exception):
    """Base of all expected failures; its text is fit to be shown to a user as it is."""


class ChartFileError(Mania4KError):
    """A chart or chart archive cannot be read, or is not a valid osu!mania 4K chart."""


class OtherGameError(ChartFileError):
    """A chart is for another mode or number of keys than osu!mania 4K."""


class AudioFileError(Mania4KError):
    """An audio file is missing, damaged, empty, too short, silent or too long."""


class CheckpointError(Mania4KError):
    """A checkpoint is missing, damaged or from another format version."""


class ConfigError(Mania4KError):
    """Options contradict one another or lie outside their range."""


class OutputError(Mania4KError):
    """A result cannot be written to the requested place."""


class WorkerError(Mania4KError):
    """A worker process was killed before its job was done."""
