// Timelines as the chart draws them.

import { expect, it } from "vitest";
import type { Party, Step } from "../api/shapes";
import { columnsOf } from "./series";

const step = (call_ms: number, party: Party, anger: number, pitch_hz = 100): Step => ({
  call_ms,
  party,
  emotion: "anger",
  level: "low",
  anger,
  trend_per_s: 0,
  pitch_hz,
  level_dbov: -20,
});

it("puts parties side by side in the order of time", () => {
  const [seconds, caller, callee, pitch] = columnsOf([
    step(1_000, "caller", 0.5),
    step(500, "callee", 0.25),
    step(1_500, "caller", 1, 0),
  ]);
  expect(seconds).toEqual([0.5, 1, 1.5]);
  expect(caller).toEqual([undefined, 50, 100]);
  expect(callee).toEqual([25, undefined, undefined]);
  expect(pitch).toEqual([undefined, 100, null]);
});

it("breaks the line of a party that was not heard for long, and only that", () => {
  const [seconds, caller, callee] = columnsOf([
    step(0, "caller", 0.5),
    step(2_000, "callee", 0.5),
    step(5_000, "callee", 0.5),
    step(5_000, "caller", 0.5),
  ]);
  expect(seconds).toEqual([0, 2, 4.999, 5, 5]);
  expect(caller).toEqual([50, null, null, 50, undefined]);
  expect(callee).toEqual([undefined, 50, undefined, undefined, 50]);
});
