// What events make of the calls on the wall.

import { describe, expect, it } from "vitest";
import type { FeedEvent } from "../api/feed";
import type { Summary } from "../api/shapes";
import { foldLive, type LiveCall, type LiveCalls, liveOf, SPARK_MAX } from "./fold";

const event = (type: string, fields: object = {}, call = "call-1"): FeedEvent => ({
  seq: 1,
  time: "2023-11-14T22:13:20.000Z",
  call,
  call_ms: 0,
  type,
  ...fields,
});
const started = event("call_started", {
  from: '"Li" <sip:13800138000@pbx.example>',
  to: "<sip:4001@calmline.example>",
  route: "after-sales",
  scenario: "after-sales",
});
const listed = { id: "call-1", state: "answered", started: started.time, emotion: null } as Summary;
const observed = (party: string, anger: number, fields: object = {}) =>
  event("observed", { party, anger, level: anger > 0.8 ? "high" : "low", emotion: "anger", trend_per_s: 0, ...fields });

function folded(...events: FeedEvent[]): LiveCall | undefined {
  const calls: LiveCalls = new Map();
  for (const each of [started, ...events]) foldLive(calls, each);
  return calls.get("call-1");
}

describe("a call on the wall", () => {
  it("begins, is answered, is moved", () => {
    expect(folded()).toMatchObject({
      state: "ringing",
      route: "after-sales",
      startedMs: 1_700_000_000_000,
      target: null,
    });
    expect(folded(event("call_answered", { target: "bot" }))).toMatchObject({ state: "answered", target: "bot" });
    const moved = folded(event("call_answered", { target: "bot" }), event("rerouted", { target: "human" }));
    expect(moved?.target).toBe("human");
    const replaced = event("rerouted", { via: "caller_replaced", target: "caller" });
    expect(folded(event("call_answered", { target: "bot" }), replaced)?.target).toBe("bot");
  });

  it("ends and is forgotten; events of unknown calls change nothing", () => {
    expect(folded(event("call_ended"))).toBeUndefined();
    const calls: LiveCalls = new Map();
    foldLive(calls, observed("caller", 0.9));
    expect(calls.size).toBe(0);
  });

  it("keeps what it knows when it is said to have begun again", () => {
    expect(folded(observed("caller", 0.9), started)?.caller?.anger).toBe(0.9);
  });

  it("knows both parties' moods, and draws the caller's", () => {
    const call = folded(observed("caller", 0.9), observed("callee", 0.1));
    expect([call?.caller?.level, call?.callee?.level, call?.spark]).toEqual(["high", "low", [0.9]]);
  });

  it("keeps the last points only, in order", () => {
    const many = Array.from({ length: SPARK_MAX + 5 }, (_, at) => observed("caller", at / 100));
    const spark = folded(...many)?.spark ?? [];
    expect([spark.length, spark[0], spark.at(-1)]).toEqual([SPARK_MAX, 0.05, (SPARK_MAX + 4) / 100]);
  });

  it("tells the worst leg's quality and each party's losses", () => {
    const legs = [4.2, undefined, 3.1, 4.4].map((mos) => event("leg_ended", { quality: { mos_listening: mos } }));
    expect(folded(...legs)?.mos).toBe(3.1);
    const lossy = folded(observed("caller", 0, { delivery: { lost_share: 0.05 } }), observed("callee", 0));
    expect(lossy?.lost).toEqual({ caller: 0.05 });
  });

  it("is supervised until the last supervisor has left", () => {
    const [joined, left] = ["joined", "left"].map((what) => (supervisor: number) => {
      return event(`supervisor_${what}`, { supervisor });
    }) as [(supervisor: number) => FeedEvent, (supervisor: number) => FeedEvent];
    expect(folded(joined(1), joined(2), joined(2), left(1))?.supervisors).toEqual([2]);
    expect(folded(joined(1), joined(2), left(2), left(1))?.supervisors).toEqual([]);
    const calls: LiveCalls = new Map([["call-1", liveOf({ ...listed, supervisors: [1, 2] })]]);
    foldLive(calls, left(2));
    expect([calls.get("call-1")?.supervisors, liveOf(listed).supervisors]).toEqual([[1], []]);
  });

  it("replaces a row and never changes it", () => {
    const calls: LiveCalls = new Map();
    foldLive(calls, started);
    const before = calls.get("call-1");
    foldLive(calls, event("alert"));
    expect([before?.alerts, calls.get("call-1")?.alerts]).toEqual([0, 1]);
  });
});
