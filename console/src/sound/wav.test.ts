// WAV streams as they come from the network, in pieces of any size.

import { describe, expect, it } from "vitest";
import { FLOOR_DBOV, levelDbov } from "./level";
import { WavStream } from "./wav";

/** A stream without an end, as the server begins it: frames are pairs of samples. */
function wav(frames: [number, number][], extra: number[] = []): Uint8Array {
  const bytes = new Uint8Array(44 + extra.length + frames.length * 4);
  const view = new DataView(bytes.buffer);
  const word = (at: number, text: string) => bytes.set(new TextEncoder().encode(text), at);
  word(0, "RIFF");
  view.setUint32(4, 0xffff_ffff, true);
  word(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true);
  view.setUint16(22, 2, true);
  view.setUint32(24, 8_000, true);
  view.setUint16(34, 16, true);
  bytes.set(extra, 36);
  word(36 + extra.length, "data");
  view.setUint32(40 + extra.length, 0xffff_ffff, true);
  frames.forEach(([left, right], frame) => {
    view.setInt16(44 + extra.length + frame * 4, left, true);
    view.setInt16(46 + extra.length + frame * 4, right, true);
  });
  return bytes;
}

function readIn(bytes: Uint8Array, size: number): [number, number][] {
  const stream = new WavStream();
  const frames: [number, number][] = [];
  for (let at = 0; at < bytes.length; at += size) {
    const { left, right } = stream.push(bytes.slice(at, at + size));
    for (const [frame, sample] of left.entries()) frames.push([sample * 32_768, (right[frame] ?? Number.NaN) * 32_768]);
  }
  expect(stream.format).toEqual({ channels: 2, rateHz: 8_000 });
  return frames;
}

const FRAMES: [number, number][] = [
  [0, -1],
  [32_767, -32_768],
  [258, 772],
  [-5, 5],
];

describe("a WAV stream", () => {
  it("reads the same in pieces of any size", () => {
    for (const size of [1, 2, 3, 5, 7, 44, 45, 1_000])
      expect(readIn(wav(FRAMES), size), `pieces of ${size}`).toEqual(FRAMES);
  });
  it("passes over what it does not know", () => {
    const list = [...[0x4c, 0x49, 0x53, 0x54], 3, 0, 0, 0, 1, 2, 3, 0];
    for (const size of [1, 13, 1_000]) expect(readIn(wav(FRAMES, list), size)).toEqual(FRAMES);
  });
  it("says what is wrong with others", () => {
    const mono = wav(FRAMES);
    mono[22] = 1;
    expect(() => new WavStream().push(mono)).toThrow(/1 channels of 16 bits, expected PCM, 2 channels/);
    expect(() => new WavStream().push(new TextEncoder().encode('{"status": 404}'))).toThrow(/expected WAV/);
    const endless = new WavStream();
    const list = [0x4c, 0x49, 0x53, 0x54, 255, 255, 255, 127];
    endless.push(wav(FRAMES, list));
    expect(() => endless.push(new Uint8Array(5_000))).toThrow(/found no audio/);
  });
});

it("measures levels against the overload point", () => {
  expect(levelDbov(new Float32Array(80))).toBe(FLOOR_DBOV);
  expect(levelDbov([])).toBe(FLOOR_DBOV);
  expect(levelDbov([1, -1, 1, -1])).toBe(0);
  const sine = Array.from({ length: 800 }, (_, at) => Math.sin((at / 8) * 2 * Math.PI) / 10);
  expect(levelDbov(sine)).toBeCloseTo(-23.01, 1);
});
