"""Damaged, chained, cut and streamed audio: decoded as far as it goes, at the right times, and what is missing is said."""

import io
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ear.audio.containers.flac import flac_contents
from ear.audio.containers.mp3 import mp3_contents, scan_frames
from ear.audio.containers.ogg import _read_pages, ogg_contents, write_pages
from ear.audio.decode import SAMPLE_RATE, load_audio
from ear.audio.encode import write_vorbis
from mapper.output.package import playable_audio
from tests.conftest import SHARED

RATE = 44_100
DURATION_S = 12


def clicks_every_half_second(rate: int = RATE, duration_s: float = DURATION_S) -> np.ndarray:
    """[sample, channel] of clicks over noise, which keeps a variable bit rate up."""
    samples = 0.05 * np.random.default_rng(0).standard_normal(int(duration_s * rate))
    samples[:: rate // 2] = 0.95
    return np.stack([samples, samples], axis=1)


def encoded(samples: np.ndarray, rate: int = RATE, **options: object) -> bytes:
    file = io.BytesIO()
    with soundfile.SoundFile(file, "w", rate, samples.shape[1], **options) as target:
        for at in range(0, len(samples), 8192):
            target.write(samples[at : at + 8192])
    return file.getvalue()


def late_ms(data: bytes, duration_s: float = DURATION_S) -> np.ndarray:
    """[click] how late each click but the first is, in ms; NaN where none is heard."""
    samples = load_audio(data, name="song").samples
    near, found = SAMPLE_RATE // 10, []
    for click in range(1, int(duration_s * 2)):
        at = click * SAMPLE_RATE // 2
        around = np.abs(samples[at - near : at + near])
        found.append((around.argmax() - near) * 1000 / SAMPLE_RATE if around.size and around.max() > 0.25 else np.nan)
    return np.array(found)


def mp3(**options: object) -> bytes:
    return encoded(clicks_every_half_second(), format="MP3", **options)


def without_info_frame(data: bytes) -> bytes:
    scan = scan_frames(data)
    assert scan is not None
    return data[scan.ends[0] :]


def test_mp3_with_lost_bytes_is_read_on_behind_them() -> None:
    data = mp3(bitrate_mode="CONSTANT")
    damaged = data[: len(data) // 2] + data[len(data) // 2 + 100 :]
    audio = load_audio(damaged, name="song.mp3")
    assert 11_900 < audio.duration_ms < 12_000
    assert "0.03 s of 0:12 could not be read" in audio.notice
    late = late_ms(damaged)
    assert np.abs(late[:10]).max() < 1
    assert np.nanmax(np.abs(late[13:] - np.nanmedian(late[13:]))) < 1, "the rest runs on evenly"


def test_zeros_in_an_mp3_cost_only_themselves() -> None:
    data = bytearray(mp3(bitrate_mode="CONSTANT"))
    data[len(data) // 2 : len(data) // 2 + 8_000] = bytes(8_000)
    audio = load_audio(bytes(data), name="song.mp3")
    assert 11_000 < audio.duration_ms < 11_500
    assert "only 0:11 of 0:12 could be read" in audio.notice


def test_half_an_mp3_says_so() -> None:
    data = mp3(bitrate_mode="VARIABLE")
    audio = load_audio(data[: len(data) // 2], name="song.mp3")
    assert audio.notice == "song.mp3: only 0:06 of 0:12 could be read; the file is damaged or cut off"


def test_variable_bit_rate_without_a_xing_frame_is_read_to_its_end() -> None:
    quiet_start = clicks_every_half_second(duration_s=60)
    quiet_start[: 20 * RATE] = 0
    quiet_start[30 * RATE :] *= 0.9
    data = without_info_frame(encoded(quiet_start, format="MP3", bitrate_mode="VARIABLE", compression_level=0.1))
    with soundfile.SoundFile(io.BytesIO(data)) as file:
        guessed_s = file.frames / RATE
    audio = load_audio(data, name="song.mp3")
    assert audio.duration_ms == pytest.approx(60_000, abs=60)
    assert not audio.notice
    assert abs(guessed_s - 60) > 1, "libsndfile's guess is right: this file proves nothing"


def test_a_guess_that_is_too_short_does_not_cut() -> None:
    """libsndfile guesses the length by its first frames: with high ones first, it stops early."""
    loud_start = np.zeros((40 * RATE, 2))
    loud_start[: 5 * RATE] = 0.3 * np.random.default_rng(0).standard_normal((5 * RATE, 2))
    loud_start[39 * RATE :] = 0.5 * np.sin(np.arange(RATE)[:, None] / 20)
    data = without_info_frame(encoded(loud_start, format="MP3", bitrate_mode="VARIABLE", compression_level=0.1))
    with soundfile.SoundFile(io.BytesIO(data)) as file:
        assert file.frames < 39 * RATE, "libsndfile does not cut: this file proves nothing"
    audio = load_audio(data, name="song.mp3")
    assert audio.duration_ms == pytest.approx(40_000, abs=60)
    assert np.abs(audio.samples[39 * SAMPLE_RATE :]).max() > 0.3


@pytest.mark.parametrize("mode", ["CONSTANT", "AVERAGE", "VARIABLE"])
def test_clocks_of_mp3(mode: str) -> None:
    """With a LAME tag to the sample; without, or in an Info frame alone, as players have it: encoder delay and all."""
    data = mp3(bitrate_mode=mode)
    tag = max(data.find(b"Xing"), data.find(b"Info"))
    no_lame = data[: tag + 120] + bytes(36) + data[tag + 156 :]
    assert np.abs(late_ms(data)).max() < 0.1
    assert late_ms(without_info_frame(data)) == pytest.approx(25.06, abs=0.1)
    assert late_ms(no_lame) == pytest.approx(25.06, abs=0.1)


def test_pictures_and_tags_around_an_mp3_are_no_damage() -> None:
    data = mp3(bitrate_mode="CONSTANT")
    picture = np.random.default_rng(1).bytes(50_000)
    tag = b"ID3\3\0\0" + bytes([0, len(picture) >> 14 & 127, len(picture) >> 7 & 127, len(picture) & 127]) + picture
    audio = load_audio(tag + data + b"TAG" + b"title".ljust(125, b"\0"), name="song.mp3")
    assert not audio.notice
    assert audio.duration_ms == pytest.approx(12_000, abs=0.1)


def test_a_zeroed_block_costs_a_flac_only_its_frames() -> None:
    data = bytearray(encoded(clicks_every_half_second(), format="FLAC"))
    data[len(data) // 2 : len(data) // 2 + 4096] = bytes(4096)
    audio = load_audio(bytes(data), name="song.flac")
    assert audio.duration_ms == 12_000
    assert "0.19 s of 0:12 could not be read" in audio.notice
    late = late_ms(bytes(data))
    assert np.isnan(late).sum() <= 1
    assert np.nanmax(np.abs(late)) < 0.1


def test_a_flac_that_was_cut_short() -> None:
    data = encoded(clicks_every_half_second(), format="FLAC")
    audio = load_audio(data[: len(data) * 2 // 3], name="song.flac")
    assert audio.notice == "song.flac: only 0:08 of 0:12 could be read; the file is damaged or cut off"
    assert 7_800 < audio.duration_ms < 8_100


def test_silent_flac_frames_decode(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every second frame damaged, so that silence of all lengths is written; mono and 24 bits, too."""
    samples = clicks_every_half_second()[: 6 * RATE + 100, :1]
    data = bytearray(encoded(samples, format="FLAC", subtype="PCM_24"))
    whole = flac_contents(bytes(data))
    assert whole is not None
    assert whole.lost_s == 0
    for at in range(6_000, len(data), 50_000):
        data[at] ^= 0xFF
    audio = load_audio(bytes(data), name="song.flac")
    assert audio.duration_ms == pytest.approx(6_000 + 100 / 44.1, abs=0.1)
    assert audio.notice


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 0x7FFFFFFF])
def test_a_streamed_wav_is_read_to_its_end(size: int) -> None:
    data = bytearray(encoded(clicks_every_half_second(), format="WAV", subtype="PCM_16"))
    at = data.find(b"data") + 4
    struct.pack_into("<I", data, 4, min(size + 36, 0xFFFFFFFF))
    struct.pack_into("<I", data, at, size)
    audio = load_audio(bytes(data), name="song.wav")
    assert audio.duration_ms == 12_000
    assert not audio.notice


def test_half_a_wav_says_so() -> None:
    data = encoded(clicks_every_half_second(), format="WAV", subtype="PCM_16")
    audio = load_audio(data[: len(data) // 2], name="song.wav")
    assert audio.notice == "song.wav: only 0:06 of 0:12 could be read; the file is damaged or cut off"


@pytest.mark.parametrize("second_rate", [RATE, 48_000])
def test_both_links_of_a_chain_are_read(second_rate: int) -> None:
    first = encoded(clicks_every_half_second(), format="OGG", subtype="VORBIS")
    second = encoded(clicks_every_half_second(second_rate), second_rate, format="OGG", subtype="VORBIS")
    assert np.nanmax(np.abs(late_ms(first + second, 24))) < 0.2
    assert load_audio(first + second, name="song.ogg").duration_ms == pytest.approx(24_000, abs=0.1)


def pages_of(data: bytes) -> list[bytes]:
    """A file's pages as they stand."""
    starts = [at for at in range(len(data)) if data.startswith(b"OggS\0", at)] if len(data) < 1 << 21 else []
    return [data[a:b] for a, b in zip(starts, [*starts[1:], len(data)], strict=True)]


def test_a_lost_page_is_silence() -> None:
    data = encoded(clicks_every_half_second(), format="OGG", subtype="VORBIS")
    pages = pages_of(data)
    damaged = b"".join(pages[: len(pages) // 2] + pages[len(pages) // 2 + 1 :])
    audio = load_audio(damaged, name="song.ogg")
    assert audio.duration_ms == pytest.approx(12_000, abs=1)
    assert "could not be read" in audio.notice
    late = late_ms(damaged)
    assert np.isnan(late).sum() <= 4
    assert np.nanmax(np.abs(late)) < 0.2


def test_a_flipped_bit_costs_one_page() -> None:
    data = bytearray(encoded(clicks_every_half_second(), format="OGG", subtype="VORBIS"))
    data[len(data) // 2] ^= 1
    audio = load_audio(bytes(data), name="song.ogg")
    assert audio.duration_ms == pytest.approx(12_000, abs=1)
    assert "could not be read" in audio.notice


def cut_without_decoding(data: bytes, packets: int) -> bytes:
    """As `ffmpeg -ss … -c copy` cuts Vorbis: the first page is shorter by its time than its packets are."""
    pages, _ = _read_pages(data)
    body = [packet for page in pages for packet in packets_of(page)]
    headers, sound = body[:3], body[3 + packets :]
    from ear.audio.containers.ogg_packets import VorbisCodec

    samples = VorbisCodec(headers[0], headers[2]).samples(sound)
    samples[1] -= 1014
    return write_pages(headers, sound, samples, None)


def packets_of(page: object) -> list[bytes]:
    """Packets of a page on which all of its packets end."""
    found, pending, at = [], b"", 0
    for size in page.sizes:  # type: ignore[attr-defined]
        pending += page.body[at : at + size]  # type: ignore[attr-defined]
        at += size
        if size < 255:
            found.append(pending)
            pending = b""
    return found


def test_vorbis_cut_without_decoding_keeps_one_clock() -> None:
    data = write_pages(*repaged(encoded(clicks_every_half_second(), format="OGG", subtype="VORBIS")), None)
    cut = cut_without_decoding(data, 100)
    shift = lambda samples: np.diff(np.flatnonzero(np.abs(samples) > 0.6 * np.abs(samples).max()) / SAMPLE_RATE)  # noqa: E731
    gaps = shift(load_audio(cut, name="song.ogg").samples)
    gaps = gaps[gaps > 0.1]
    assert gaps == pytest.approx(0.5, abs=0.001)
    direct, rate = soundfile.read(io.BytesIO(cut))
    at = np.flatnonzero(np.abs(direct[:, 0]) > 0.6) / rate
    wrong = np.diff(at)[np.diff(at) > 0.1]
    assert np.abs(wrong - 0.5).max() > 0.01, "libsndfile reads this cut right: it proves nothing"


def repaged(data: bytes) -> tuple[list[bytes], list[bytes], list[int]]:
    """Headers, sound packets and their samples, from pages on which packets may run on."""
    contents = ogg_contents(data)
    assert contents is not None
    pages, _ = _read_pages(contents.links[0].stream(0)[0].read())
    joined, pending = [], b""
    for page in pages:
        at = 0
        for size in page.sizes:
            pending += page.body[at : at + size]
            at += size
            if size < 255:
                joined.append(pending)
                pending = b""
    from ear.audio.containers.ogg_packets import VorbisCodec

    return joined[:3], joined[3:], VorbisCodec(joined[0], joined[2]).samples(joined[3:])


@pytest.mark.parametrize(("subtype", "rate"), [("VORBIS", 44_100), ("OPUS", 48_000)])
def test_new_pages_change_no_sample(subtype: str, rate: int) -> None:
    data = encoded(clicks_every_half_second(rate), rate, format="OGG", subtype=subtype)
    contents = ogg_contents(data)
    assert contents is not None
    assert contents.exact
    assert contents.declared_s == pytest.approx(12)
    before, after = soundfile.read(io.BytesIO(data))[0], soundfile.read(contents.links[0].stream(0)[0])[0]
    assert np.array_equal(before, after)


def test_opus_with_uneven_page_times_is_read_whole() -> None:
    """Packets of two lengths whose pages claim the time of one, as FFmpeg writes when it makes Opus of Vorbis."""
    data = encoded(clicks_every_half_second(48_000), 48_000, format="OGG", subtype="OPUS")
    contents = ogg_contents(data)
    assert contents is not None
    pages, _ = _read_pages(contents.links[0].stream(0)[0].read())
    packets = [packet for page in pages for packet in packets_of(page)]
    samples = [960] * len(packets[2:])
    samples[100] = 840
    uneven = write_pages(packets[:2], packets[2:], samples, None)
    assert load_audio(uneven, name="song.opus").duration_ms == pytest.approx(12_000, abs=25)
    with pytest.raises(soundfile.LibsndfileError):  # else this file proves nothing
        soundfile.read(io.BytesIO(uneven))


def test_opposite_channels_are_not_silence() -> None:
    left = clicks_every_half_second()[:, 0]
    data = encoded(np.stack([left, -left], axis=1), format="WAV")
    audio = load_audio(data, name="song.wav")
    assert np.abs(audio.samples).max() > 0.4
    assert np.nanmax(np.abs(late_ms(data))) < 0.1


def test_the_decoder_writes_no_lines_of_its_own(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    data = mp3(bitrate_mode="CONSTANT")
    load_audio(data[: len(data) // 2] + bytes(3000) + data[len(data) // 2 + 2900 :], name="song.mp3")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("damage", ["none", "zeros"])
def test_a_damaged_song_is_packed_as_vorbis(tmp_path: Path, damage: str) -> None:
    data = bytearray(mp3(bitrate_mode="CONSTANT"))
    if damage == "zeros":
        data[len(data) // 2 : len(data) // 2 + 4000] = bytes(4000)
    song = tmp_path / "song.mp3"
    song.write_bytes(data)
    packed = playable_audio(song, tmp_path)
    assert packed.name == ("song.mp3" if damage == "none" else "audio.ogg")
    ours, packed_audio = load_audio(song), load_audio(packed)
    assert packed_audio.duration_ms == pytest.approx(ours.duration_ms, abs=0.1)


def test_a_chain_of_two_rates_is_packed_as_one(tmp_path: Path) -> None:
    song = tmp_path / "song.ogg"
    chain = [encoded(clicks_every_half_second(rate), rate, format="OGG", subtype="VORBIS") for rate in (RATE, 48_000)]
    song.write_bytes(b"".join(chain))
    write_vorbis(song, tmp_path / "copy.ogg")
    assert soundfile.info(tmp_path / "copy.ogg").duration == pytest.approx(24, abs=0.001)
    assert np.nanmax(np.abs(late_ms((tmp_path / "copy.ogg").read_bytes(), 24))) < 0.2


def test_headers_of_noise_are_no_contents() -> None:
    noise = np.random.default_rng(0).bytes(200_000)
    assert ogg_contents(b"OggS" + noise) is None
    assert flac_contents(b"fLaC" + noise) is None
    assert mp3_contents(noise) is None


CASES = {
    "100_bytes_lost_320k.mp3": (11.9, "0.03 s of 0:12 could not be read"),
    "zeros_4k_320k.mp3": (11.8, "0.10 s of 0:12 could not be read"),
    "cut_short.flac": (5.8, "only 0:06 of 0:08 could be read"),
    "opposite_phase.flac": (10.0, ""),
    "size_field_0.wav": (7.0, ""),
    "two_streams.ogg": (28.0, ""),
    "vorbis_transcoded.opus": (75.1, ""),
}


@pytest.mark.shared
@pytest.mark.parametrize("name", CASES)
def test_files_that_went_wrong(name: str) -> None:
    path = SHARED.parent / "cases" / "audio" / name
    if not path.is_file():
        pytest.skip(f"needs {path}")
    least_s, notice = CASES[name]
    audio = load_audio(path)
    assert least_s <= audio.duration_ms / 1000 < least_s + 0.15
    assert notice in audio.notice
    assert bool(notice) == bool(audio.notice)
