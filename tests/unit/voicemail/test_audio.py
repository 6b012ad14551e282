"""Recordings as files, and files as recordings."""

import subprocess
import wave
from array import array
from contextlib import suppress
from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.speech import correlates, decode_mp3, duration, save_wav, say, silence
from um.core.errors import RefusedDocumentError
from um.mime.build import AudioFormat
from um.policy.quota import AUDIO_FRAMING_OCTETS, MP3_OCTETS_PER_SECOND
from voicemail import convert as conversion
from voicemail.audio import encode
from voicemail.convert import convert
from voicemail.mp3 import encode_mp3


@pytest.mark.parametrize("samples", [100, 577, 8000, 8001, 12345, 97_531])
def test_mp3_plays_exactly_as_long_as_was_said(samples):
    """No start-up delay and no padding: a player gives back the very number of samples."""
    spoken = say()[: 2 * samples]
    assert len(decode_mp3(encode_mp3(array("h", spoken)))) == len(spoken)


def test_mp3_holds_what_was_said():
    """24 kbit/s is enough for telephone speech."""
    spoken = say()
    recording = encode(array("h", spoken), AudioFormat.MP3)
    decoded = decode_mp3(recording.data)
    assert duration(decoded) == pytest.approx(duration(spoken), abs=0.25)
    assert correlates(decoded, spoken) > 0.98
    assert recording.duration_seconds == duration(spoken)


def test_mp3_of_the_longest_message_fits_what_is_reserved():
    """The room reserved before the beep covers the worst case of the encoder."""
    data = encode_mp3(array("h", say(seconds=120)))
    assert len(data) <= 120 * MP3_OCTETS_PER_SECOND + AUDIO_FRAMING_OCTETS


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 4000), st.randoms(use_true_random=False))
def test_any_samples_become_an_mp3(count, random):
    """Noise, clipping, a single sample: always a file that begins with a frame and its tag."""
    samples = array("h", [random.randint(-32768, 32767) for _ in range(count)])
    data = encode_mp3(samples)
    assert data[:2] == b"\xff\xe3"
    assert data[13:17] == b"Info"
    assert len(data) % 216 == 0


def test_wav_is_exact():
    """The other format loses nothing."""
    spoken = say(seconds=2)
    with wave.open(BytesIO(encode(array("h", spoken), AudioFormat.WAV).data)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (8000, 1, 2)
        assert file.readframes(99999) == spoken


def in_container(tmp_path, samples, name, *options):
    source = save_wav(samples, tmp_path / "source.wav")
    target = tmp_path / name
    command = ["ffmpeg", "-v", "error", "-y", "-i", source, *options, target]
    subprocess.run(command, check=True)
    return target.read_bytes()


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.wav", ()),
        ("stereo.wav", ("-ar", "44100", "-ac", "2")),
        ("mulaw.wav", ("-c:a", "pcm_mulaw")),
        ("24bit.wav", ("-c:a", "pcm_s24le", "-ar", "48000")),
        ("a.mp3", ("-ar", "44100")),
        ("a.ogg", ("-c:a", "libvorbis")),
        ("a.opus", ()),
        ("a.flac", ()),
        ("a.m4a", ()),
        ("a.aac", ()),
        ("a.aiff", ()),
        ("a.au", ()),
        ("a.caf", ()),
        ("a.webm", ()),
        ("a.wma", ()),
    ],
)
def test_any_audio_becomes_telephone_samples(tmp_path, name, options):
    """Whatever the container, codec, rate and channels: the same speech at 8000 a second."""
    spoken = say(seconds=4)
    samples = convert(in_container(tmp_path, spoken, name, *options))
    assert duration(samples.tobytes()) == pytest.approx(4, abs=0.25)
    assert correlates(samples.tobytes(), spoken) > 0.9


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"hello, I am no audio", "no known audio"),
        (b"%PDF-1.4\n" + bytes(100), "no known audio"),
        (b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", "no known audio"),
        (b"ffconcat version 1.0\nfile /etc/passwd\n", "no known audio"),
        (b"ID3\x04\0\0\0\0\0\0" + b"#EXTM3U\nfile:///etc/passwd\n" * 9, "could not be decoded"),
        (b"RIFF\x24\0\0\0WAVE", "could not be decoded"),
        (b"OggS" + bytes(300), "could not be decoded"),
        (b"\0\0\0\x18ftypM4A " + bytes(64), "could not be decoded"),
    ],
)
def test_what_is_no_audio_is_refused_with_the_reason(data, reason):
    """Text, documents, playlists that name other files, empty and torn files: refused."""
    with pytest.raises(RefusedDocumentError, match=reason):
        convert(data)


def test_a_file_without_sound_in_it_is_refused(tmp_path):
    """A video without a sound track has nothing to listen to."""
    target = tmp_path / "mute.mp4"
    command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "color=s=64x64:d=0.2", target]
    subprocess.run(command, check=True)
    with pytest.raises(RefusedDocumentError):
        convert(target.read_bytes())


def test_a_truncated_file_gives_what_decodes(tmp_path):
    """Half an MP3 is half a message, not none."""
    whole = in_container(tmp_path, say(seconds=6), "a.mp3")
    samples = convert(whole[: len(whole) // 2])
    assert 2 < len(samples) / 8000 < 4


def test_too_long_is_refused(tmp_path):
    """A file longer than the limit is refused, however small it is on disk."""
    data = in_container(tmp_path, silence(5), "a.flac")
    with pytest.raises(RefusedDocumentError, match="longer than 4 seconds"):
        convert(data, longest_seconds=4)
    assert len(convert(data, longest_seconds=5)) == 40_000


def test_a_decoder_that_hangs_is_killed(monkeypatch, tmp_path):
    """A file that takes too long is refused when its time is over."""
    data = in_container(tmp_path, silence(60), "a.flac")
    monkeypatch.setattr(conversion, "TIMEOUT_SECONDS", 0.001)
    with pytest.raises(RefusedDocumentError, match="in time"):
        convert(data)


@settings(max_examples=15, deadline=None)
@given(st.data())
def test_damaged_files_are_converted_or_refused(data):
    """Octets changed anywhere: samples or the one error, nothing else."""
    whole = bytearray(encode(array("h", say(seconds=1)), AudioFormat.MP3).data)
    for _ in range(data.draw(st.integers(1, 20))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    with suppress(RefusedDocumentError):
        assert len(convert(bytes(whole))) > 0
