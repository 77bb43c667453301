// Songs that our decoder cannot read but the browser can (AAC): decoded here, handed over as 16-bit wav.

export const DECODED_HERE = /\.(m4a|aac|mp4)$/i;
const RATE = 44100;
const MAX_S = 330; // 58 MB; the studio takes 64

/** The song as a wav file of the same name. */
export async function asWav(file) {
  const bytes = await file.arrayBuffer();
  const buffer = await new OfflineAudioContext(1, 1, RATE).decodeAudioData(bytes).catch(() => {
    throw new Error(`${file.name}: your browser cannot decode it; convert the song to mp3, ogg, opus, flac or wav`);
  });
  if (buffer.duration > MAX_S) throw new Error(`${file.name}: longer than ${MAX_S} s; convert the song to mp3, ogg, opus or flac`);
  return new File([wavOf(buffer)], file.name.replace(/\.[^.]*$/, ".wav"));
}

/** A decoded buffer as the bytes of a wav file, in stereo at most. */
export function wavOf(buffer) {
  const channels = Math.min(buffer.numberOfChannels, 2), size = buffer.length * channels * 2;
  const view = new DataView(new ArrayBuffer(44 + size));
  const word = (at, text) => [...text].forEach((letter, n) => view.setUint8(at + n, letter.charCodeAt(0)));
  word(0, "RIFF"); view.setUint32(4, 36 + size, true); word(8, "WAVEfmt ");
  view.setUint32(16, 16, true); view.setUint16(20, 1, true); view.setUint16(22, channels, true);
  view.setUint32(24, buffer.sampleRate, true); view.setUint32(28, buffer.sampleRate * channels * 2, true);
  view.setUint16(32, channels * 2, true); view.setUint16(34, 16, true); word(36, "data"); view.setUint32(40, size, true);
  const data = Array.from({ length: channels }, (_, channel) => buffer.getChannelData(channel));
  for (let n = 0, at = 44; n < buffer.length; n++) {
    for (const samples of data) { view.setInt16(at, Math.max(Math.min(samples[n], 1), -1) * 32767, true); at += 2; }
  }
  return view.buffer;
}
