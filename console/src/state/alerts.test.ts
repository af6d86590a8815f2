// Alerts and what was done about them.

import { beforeEach, describe, expect, it, vi } from "vitest";
import type { Alert } from "../api/shapes";

const kept = new Map<string, string>();
vi.stubGlobal("localStorage", {
  getItem: (key: string) => kept.get(key) ?? null,
  setItem: (key: string, value: string) => kept.set(key, value),
});
vi.useFakeTimers({ now: 1_000_000 });
const { acknowledge, addAlert, alertKey, alertState, alerts, clearAlerts, openAlerts, snooze } = await import(
  "./alerts"
);

const alert = (call_ms: number): Alert => ({ call_ms, severity: "critical", text: "angry caller", rule: "angry" });
const call = { id: "call-1", from: '"Li" <sip:13800138000@pbx.example>' };
const add = (call_ms: number, timeMs = Date.now()) => addAlert(call, timeMs, alert(call_ms));
const states = () => alerts.value.map(({ call_ms, state }) => [call_ms, state]);

beforeEach(() => clearAlerts());

describe("alerts", () => {
  it("stand newest first, each once", () => {
    expect([add(1, 10), add(3, 30), add(2, 20), add(2, 20)]).toEqual([true, true, true, false]);
    expect(alerts.value.map(({ call_ms }) => call_ms)).toEqual([3, 2, 1]);
  });

  it("escalate when nobody reacts, and rest while snoozed", () => {
    add(4);
    expect(states()).toEqual([[4, "open"]]);
    vi.advanceTimersByTime(61_000);
    expect(states()).toEqual([[4, "escalated"]]);
    snooze(alertKey("call-1", alert(4)));
    expect(states()).toEqual([[4, "snoozed"]]);
    expect(openAlerts.value).toHaveLength(0);
    vi.advanceTimersByTime(5 * 60_000 + 1_000);
    expect(states()).toEqual([[4, "open"]]);
    vi.advanceTimersByTime(61_000);
    expect(states()).toEqual([[4, "escalated"]]);
    acknowledge(alertKey("call-1", alert(4)));
    expect(states()).toEqual([[4, "acknowledged"]]);
  });

  it("are known as handled when they are told again, without a word of the call in the browser", () => {
    add(5);
    acknowledge(alertKey("call-1", alert(5)));
    clearAlerts();
    add(5);
    expect(states()).toEqual([[5, "acknowledged"]]);
    const stored = [...kept.values()].join();
    expect(stored).toContain("call-1");
    expect(stored).not.toMatch(/13800138000|Li|angry caller/);
  });

  it("are bounded", () => {
    for (let at = 0; at < 510; at += 1) add(at, at);
    expect([alerts.value.length, alerts.value.at(-1)?.call_ms]).toEqual([500, 10]);
  });
});

it("a state is that of its moment", () => {
  const item = { ...alert(0), key: "k", call: "c", timeMs: 0, from: null };
  expect(alertState(item, undefined, 60_000)).toBe("open");
  expect(alertState(item, undefined, 60_001)).toBe("escalated");
  expect(alertState(item, { snoozedUntilMs: 70_000 }, 69_999)).toBe("snoozed");
});
