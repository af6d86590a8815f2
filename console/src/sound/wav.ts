// Reads a WAV stream that has no end: 16-bit PCM in two channels, in whatever pieces the network brings. Pure.

/** Samples of both sides, -1 to 1, of equal length. */
export interface StereoPiece {
  left: Float32Array<ArrayBuffer>;
  right: Float32Array<ArrayBuffer>;
}

/** What the stream says of itself. */
export interface WavFormat {
  channels: number;
  rateHz: number;
}

/** The longest header that is waited for. */
const HEADER_BYTES_MAX = 4_096;
const FRAME_BYTES = 4;

export class WavStream {
  format: WavFormat | null = null;
  private rest = new Uint8Array(0);

  /** Takes bytes and gives the whole frames that are there by now; throws when it is no such stream. */
  push(bytes: Uint8Array): StereoPiece {
    const all = new Uint8Array(this.rest.length + bytes.length);
    all.set(this.rest);
    all.set(bytes, this.rest.length);
    const begin = this.format === null ? this.readHeader(all) : 0;
    if (begin === null) {
      if (all.length > HEADER_BYTES_MAX) throw new Error("found no audio, expected a WAV stream");
      this.rest = all;
      return { left: new Float32Array(0), right: new Float32Array(0) };
    }
    const frames = Math.floor((all.length - begin) / FRAME_BYTES);
    this.rest = all.slice(begin + frames * FRAME_BYTES);
    return pieceOf(new DataView(all.buffer, begin, frames * FRAME_BYTES), frames);
  }

  /** Where the samples begin; `null` while that is not known. */
  private readHeader(bytes: Uint8Array): number | null {
    const view = new DataView(bytes.buffer);
    if (bytes.length < 12) return null;
    if (name(view, 0) !== "RIFF" || name(view, 8) !== "WAVE") throw new Error("found no RIFF header, expected WAV");
    let at = 12;
    let format: WavFormat | null = null;
    while (at + 8 <= bytes.length) {
      const size = view.getUint32(at + 4, true);
      if (name(view, at) === "data") {
        if (format === null) throw new Error("found samples, expected their format first");
        this.format = format;
        return at + 8;
      }
      if (name(view, at) === "fmt " && at + 24 <= bytes.length) format = formatOf(view, at + 8);
      at += 8 + size + (size % 2);
    }
    return null;
  }
}

function formatOf(view: DataView, at: number): WavFormat {
  const [coding, channels, bits] = [
    view.getUint16(at, true),
    view.getUint16(at + 2, true),
    view.getUint16(at + 14, true),
  ];
  if (coding !== 1 || channels !== 2 || bits !== 16) {
    throw new Error(
      `found format ${coding} with ${channels} channels of ${bits} bits, expected PCM, 2 channels of 16 bits`,
    );
  }
  return { channels, rateHz: view.getUint32(at + 4, true) };
}

function name(view: DataView, at: number): string {
  return String.fromCharCode(...[0, 1, 2, 3].map((offset) => view.getUint8(at + offset)));
}

function pieceOf(view: DataView, frames: number): StereoPiece {
  const left = new Float32Array(frames);
  const right = new Float32Array(frames);
  for (let frame = 0; frame < frames; frame += 1) {
    left[frame] = view.getInt16(frame * FRAME_BYTES, true) / 32_768;
    right[frame] = view.getInt16(frame * FRAME_BYTES + 2, true) / 32_768;
  }
  return { left, right };
}
