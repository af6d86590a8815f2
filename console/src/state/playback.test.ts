import { describe, expect, test } from "vitest";
import { Problem } from "../api/client";
import type { Playback } from "../api/shapes";
import { addressOf, isMuted, momentAt, mutedS, placeAt, refusedBecause } from "./playback";

const kept: Playback = {
  began: "2026-01-02T03:04:05.678Z",
  call_ms: 4_000,
  duration_ms: 60_000,
  muted: [
    { from_ms: 1_000, to_ms: 2_500 },
    { from_ms: 30_000, to_ms: 31_000 },
  ],
  whole: true,
};

describe("the audio on the call's timeline", () => {
  test("begins when it began to be kept", () => {
    expect(momentAt(kept, 0)).toBe(4);
    expect(momentAt(kept, 12.5)).toBe(16.5);
  });

  test.each([
    [4, 0],
    [16.5, 12.5],
    [0, 0],
    [64, 60],
    [500, 60],
  ])("at %d s of the call it is at %d s", (momentS, placeS) => {
    expect(placeAt(kept, momentS)).toBe(placeS);
  });

  test.each([
    [0.999, false],
    [1, true],
    [2.499, true],
    [2.5, false],
    [30.5, true],
    [59, false],
  ])("at %d s muted is %s", (placeS, expected) => {
    expect(isMuted(kept, placeS)).toBe(expected);
  });

  test("says how much is muted", () => {
    expect(mutedS(kept)).toBe(2.5);
    expect(mutedS({ ...kept, muted: [] })).toBe(0);
  });
});

test.each([
  [404, "none"],
  [409, "soon"],
  [410, "gone"],
  [503, null],
])("a refusal of %d says %s", (status, expected) => {
  expect(refusedBecause(new Problem(status, ""))).toBe(expected);
});

test("what is no refusal says nothing", () => {
  expect(refusedBecause(new TypeError("broken"))).toBeNull();
});

test("an id stands in the address as it is", () => {
  expect(addressOf("a/b c")).toBe("/v1/calls/a%2Fb%20c/playback.wav");
});
