// Which call needs a supervisor most.

import { describe, expect, it } from "vitest";
import type { Level } from "../api/shapes";
import { type LiveCall, liveOf } from "./fold";
import { compareRisk, type Mood, trendOf, worse } from "./risk";

const mood = (level: Level, anger: number, trend_per_s = 0): Mood => ({ level, anger, trend_per_s, emotion: "anger" });

function call(id: string, caller: Mood | null, callee: Mood | null = null, startedS = 0): LiveCall {
  const listed = liveOf({
    id,
    state: "answered",
    from: "",
    to: "",
    route: "",
    scenario: "",
    started: new Date(startedS * 1_000).toISOString(),
    answered: null,
    ended: null,
    target: null,
    emotion: null,
    peak: null,
    decisions: 0,
    alerts: 0,
  });
  return { ...listed, caller, callee };
}

function check(expected: string[], calls: LiveCall[]): void {
  for (const shuffled of [calls, [...calls].reverse()]) {
    expect([...shuffled].sort(compareRisk).map(({ id }) => id)).toEqual(expected);
  }
}

describe("the order of risk", () => {
  it("goes by level before anger", () => {
    check(
      ["high", "medium", "low"],
      [call("low", mood("low", 0.9)), call("high", mood("high", 0.1)), call("medium", mood("medium", 0.5))],
    );
  });
  it("goes by anger within a level, then by trend", () => {
    check(
      ["b", "c", "a"],
      [call("a", mood("high", 0.8)), call("b", mood("high", 0.9)), call("c", mood("high", 0.8, 0.2))],
    );
  });
  it("counts the worse of both parties", () => {
    check(["agent", "caller"], [call("caller", mood("medium", 0.6)), call("agent", mood("low", 0), mood("high", 0.9))]);
  });
  it("puts whom nobody hears last, and the older of two that are alike first", () => {
    check(
      ["old", "new", "unheard"],
      [call("unheard", null), call("new", mood("low", 0), null, 9), call("old", mood("low", 0), null, 5)],
    );
  });
});

it("names the worse mood and its way", () => {
  expect(worse(null, null)).toBeNull();
  expect(worse(mood("low", 0.3), null)?.anger).toBe(0.3);
  expect([0.05, 0, -0.05].map((trend) => trendOf(mood("low", 0, trend)))).toEqual(["rising", "steady", "falling"]);
});
