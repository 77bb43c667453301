"""Decoding: every format gives the same sound at the same time, and every bad file one clear line."""

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ear.audio import decode as audio_module
from ear.audio import reader as reader_module
from ear.audio.decode import MAX_TAG_CHARS, SAMPLE_RATE, load_audio, read_tags
from runtime.errors import AudioFileError
from tests.ear_signals import clicks, write_wav

FORMATS = {
    "wav": {"format": "WAV", "rate": 44_100},
    "flac": {"format": "FLAC", "rate": 44_100},
    "ogg": {"format": "OGG", "subtype": "VORBIS", "rate": 44_100},
    "mp3": {"format": "MP3", "rate": 44_100},
    "opus": {"format": "OGG", "subtype": "OPUS", "rate": 48_000},
}


def song(rate: int, channels: int = 2, duration_s: float = 6.0) -> np.ndarray:
    """[sample, channel]: single samples every half second over a soft tone."""
    samples = 0.05 * np.sin(2 * np.pi * 440 * np.arange(int(duration_s * rate)) / rate)
    samples[:: rate // 2] += 0.9
    return np.repeat(samples[:, None], channels, axis=1)


@pytest.mark.parametrize("suffix", sorted(FORMATS))
def test_every_format_keeps_length_and_time(tmp_path: Path, suffix: str) -> None:
    options = dict(FORMATS[suffix])
    rate = options.pop("rate")
    path = tmp_path / f"曲.{suffix}"
    soundfile.write(path, song(rate), rate, **options)
    audio = load_audio(path)
    assert (audio.name, audio.path, audio.sample_rate) == (path.name, path, SAMPLE_RATE)
    assert audio.samples.dtype == np.float32
    assert audio.duration_ms == pytest.approx(6000, abs=1)
    for second in (1.0, 2.5, 4.0):
        around = np.abs(audio.samples[int((second - 0.1) * SAMPLE_RATE) : int((second + 0.1) * SAMPLE_RATE)])
        assert around.argmax() - int(0.1 * SAMPLE_RATE) == pytest.approx(0, abs=2)


def test_bytes_and_open_files_decode_as_paths_do(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "song.wav", song(44_100), 44_100)
    from_path = load_audio(path)
    from_bytes = load_audio(path.read_bytes(), name="inside.osz")
    from_file = load_audio(io.BytesIO(path.read_bytes()))
    assert np.array_equal(from_path.samples, from_bytes.samples)
    assert np.array_equal(from_path.samples, from_file.samples)
    assert (from_bytes.name, from_bytes.path) == ("inside.osz", None)


def test_blocks_do_not_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_wav(tmp_path / "song.wav", np.random.default_rng(0).uniform(-0.5, 0.5, (6 * 96_000, 2)), 96_000)
    whole = load_audio(path)
    monkeypatch.setattr(reader_module, "BLOCK_SAMPLES", 10_000)
    assert np.allclose(load_audio(path).samples, whole.samples, atol=1e-6)
    assert whole.samples.size == 6 * SAMPLE_RATE


def test_channels_are_averaged(tmp_path: Path) -> None:
    left, right = np.full(6 * SAMPLE_RATE, 0.4), np.full(6 * SAMPLE_RATE, 0.2)
    audio = load_audio(write_wav(tmp_path / "song.wav", np.stack([left, right], axis=1)))
    assert np.allclose(audio.samples, 0.3, atol=1e-3)


def test_samples_cannot_be_changed(tmp_path: Path) -> None:
    audio = load_audio(write_wav(tmp_path / "song.wav", clicks(120, 0, 6)))
    with pytest.raises(ValueError, match="read-only"):
        audio.samples[0] = 1


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def bad_files(folder: Path) -> dict[str, tuple[Path, str]]:
    """(file, what its error says) by case."""
    rate = SAMPLE_RATE
    return {
        "missing": (folder / "none.mp3", r"none\.mp3: no such file; check the name"),
        "folder": (folder, "is a folder; name one audio file"),
        "text": (written(folder / "text.mp3", b"these are only words\n" * 500), "not audio that can be decoded"),
        "binary": (written(folder / "b.ogg", np.random.default_rng(0).bytes(5000)), "not audio that can be decoded"),
        "empty": (written(folder / "empty.ogg", b""), r"empty\.ogg: the file is empty"),
        "m4a": (
            written(folder / "a.M4A", b"\0\0\0 ftypM4A "),
            r"\.M4A files cannot .* mp3, ogg, opus, flac or wav, or drop it in `mania4k studio`$",
        ),
        "raw": (written(folder / "a.raw", b"\0" * 100), r"\.raw files cannot be decoded"),
        "short": (write_wav(folder / "short.wav", clicks(120, 0, 2)), "audio is 2.0 s long, at least 5 s are needed"),
        "no audio": (write_wav(folder / "none.wav", np.zeros(0)), "the file holds no audio"),
        "silence": (write_wav(folder / "silent.wav", np.zeros(6 * rate)), "audio is silent from start to end"),
        "nan": (write_wav(folder / "nan.wav", np.full(6 * rate, np.nan), subtype="FLOAT"), r"not numbers \(NaN\)"),
        "rate": (write_wav(folder / "slow.wav", clicks(120, 0, 6), 100), "sample rate of 100 Hz is outside"),
    }


@pytest.mark.parametrize(
    "case",
    ["missing", "folder", "text", "binary", "empty", "m4a", "raw", "short", "no audio", "silence", "nan", "rate"],
)
def test_bad_files_are_refused_in_one_line(tmp_path: Path, case: str) -> None:
    path, message = bad_files(tmp_path)[case]
    with pytest.raises(AudioFileError, match=message) as caught:
        load_audio(path)
    assert "\n" not in str(caught.value)


def test_a_name_no_system_knows() -> None:
    with pytest.raises(AudioFileError, match="is not a file name"):
        load_audio("a\0b.mp3")


def test_empty_bytes() -> None:
    with pytest.raises(AudioFileError, match=r"audio\.mp3: the file is empty"):
        load_audio(b"", name="audio.mp3")


def test_forty_minutes_are_refused_by_the_header(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_wav(tmp_path / "mix.wav", np.zeros(40 * 60 * 4000), 4000)
    monkeypatch.setattr(audio_module, "_decoded", lambda *_: pytest.fail("decoded a file that is too long"))
    with pytest.raises(AudioFileError, match="audio is 40 minutes long, the limit is 20 minutes"):
        load_audio(path)


def test_a_header_that_lies_does_not_help(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_wav(tmp_path / "mix.wav", clicks(120, 0, 8))
    monkeypatch.setattr(audio_module, "_check_header", lambda *_: None)
    monkeypatch.setattr(audio_module, "MAX_AUDIO_S", 7.0)
    monkeypatch.setattr(reader_module, "BLOCK_SAMPLES", 10_000)
    with pytest.raises(AudioFileError, match="audio is too long, the limit is"):
        load_audio(path)


def test_tags_are_read_and_tamed(tmp_path: Path) -> None:
    import mutagen

    path = tmp_path / "song.flac"
    soundfile.write(path, song(22_050), 22_050)
    tags = mutagen.File(path)
    tags["title"], tags["artist"] = "星の\r\n[Events] 歌\0", "x" * 1000
    tags.save()
    title, artist = read_tags(path)
    assert title == "星の [Events] 歌"
    assert artist == "x" * MAX_TAG_CHARS


def test_tags_never_raise(tmp_path: Path) -> None:
    assert read_tags(tmp_path / "none.mp3") == ("", "")
    assert read_tags(written(tmp_path / "text.mp3", b"no audio at all")) == ("", "")
    assert read_tags(write_wav(tmp_path / "plain.wav", clicks(120, 0, 6))) == ("", "")
    assert read_tags(io.BytesIO(b"ID3\x04\0\0\x7f\x7f\x7f\x7f")) == ("", "")
