// Alerts and what was done about them.

import { beforeEach, describe, expect, it, vi } from "vitest";
import { ref } from "vue";
import type { Alert, AlertEscalated, AlertHandled } from "../api/shapes";

// Where pages are, addresses need no host.
vi.stubGlobal(
  "Request",
  class extends Request {
    constructor(address: string, init?: RequestInit) {
      super(new URL(address, "http://calmline.example"), init);
    }
  },
);
const sent: Request[] = [];
vi.stubGlobal("fetch", async (request: Request) => {
  sent.push(request);
  return new Response('{"accepted":true}', { status: 202 });
});
const myself = ref("");
vi.doMock("./session", () => ({ user: myself }));
vi.useFakeTimers({ now: 1_000_000 });
const { addAlert, alertState, alerts, clearAlerts, handle, isMine, noteHandled, openAlerts, severityOf } = await import(
  "./alerts"
);

const alert = (call_ms: number): Alert => ({ call_ms, severity: "critical", text: "angry caller", rule: "angry" });
const call = { id: "call-1", from: '"Li" <sip:13800138000@pbx.example>' };
const add = (call_ms: number, timeMs = Date.now(), more: Partial<Alert> = {}) =>
  addAlert(call, timeMs, { ...alert(call_ms), ...more });
const done = (deed: string, more: Partial<AlertHandled> = {}): AlertHandled => ({
  deed,
  by: "li",
  time: new Date().toISOString(),
  ...more,
});
const escalated = (to: string[] = [], step = 1): AlertEscalated => ({
  step,
  waited_s: 60,
  severity: "critical",
  to,
  time: new Date().toISOString(),
});
const states = () => alerts.value.map(({ call_ms, state }) => [call_ms, state]);

beforeEach(() => clearAlerts());

describe("alerts", () => {
  it("stand newest first, each once", () => {
    expect([add(1, 10), add(3, 30), add(2, 20), add(2, 20)]).toEqual(["raised", "raised", "raised", null]);
    expect(alerts.value.map(({ call_ms }) => call_ms)).toEqual([3, 2, 1]);
  });

  it("escalate when nobody reacts, and rest while snoozed", () => {
    add(4);
    vi.advanceTimersByTime(3_600_000);
    expect(states()).toEqual([[4, "open"]]);
    myself.value = "li";
    const louder = (to: string[], step: number) => add(4, Date.now(), { escalated: escalated(to, step) });
    expect([louder([], 1), louder([], 1), louder(["wang"], 2), louder([], 1)]).toEqual([
      "escalated",
      null,
      "escalated",
      null,
    ]);
    expect(alerts.value.map((item) => item.escalated?.to)).toEqual([["wang"]]);
    expect([isMine(escalated()), isMine(escalated(["wang"])), isMine(escalated(["li"]))]).toEqual([true, false, true]);
    expect(states()).toEqual([[4, "escalated"]]);
    expect(alerts.value.map(severityOf)).toEqual(["critical"]);
    noteHandled("call-1", alert(4), done("snoozed", { snooze_s: 300 }));
    expect(states()).toEqual([[4, "snoozed"]]);
    expect(openAlerts.value).toHaveLength(0);
    vi.advanceTimersByTime(5 * 60_000 + 1_000);
    expect(states()).toEqual([[4, "open"]]);
    expect(louder(["li"], 1)).toBe("escalated");
    expect(states()).toEqual([[4, "escalated"]]);
    noteHandled("call-1", alert(4), done("acknowledged"));
    expect(states()).toEqual([[4, "acknowledged"]]);
  });

  it("are open for whom they are assigned to, until they are ended", () => {
    add(5);
    noteHandled("call-1", alert(5), done("assigned", { to: "wang" }));
    myself.value = "li";
    expect(openAlerts.value).toHaveLength(0);
    myself.value = "wang";
    expect(openAlerts.value.map(({ handled }) => handled?.to)).toEqual(["wang"]);
    noteHandled("call-1", alert(5), done("ended"));
    expect([states(), openAlerts.value.length]).toEqual([[[5, "ended"]], 0]);
  });

  it("are known as handled when they are told again", () => {
    add(6);
    expect(add(6, Date.now(), { handled: done("acknowledged") })).toBeNull();
    expect(states()).toEqual([[6, "acknowledged"]]);
    add(6);
    expect(states()).toEqual([[6, "acknowledged"]]);
  });

  it("wait no longer when they are told again as handled, until they escalate again", () => {
    add(8);
    add(8, Date.now(), { escalated: escalated() });
    const handled = done("snoozed", { snooze_s: 0 });
    add(8, Date.now(), { handled });
    expect(states()).toEqual([[8, "open"]]);
    expect(alerts.value[0]).not.toHaveProperty("escalated");
    add(8, Date.now(), { handled, escalated: escalated() });
    expect(states()).toEqual([[8, "escalated"]]);
  });

  it("stay as they are when a list is older than what was told since", () => {
    const [early, late] = [new Date(1_000).toISOString(), new Date(2_000).toISOString()];
    add(9);
    noteHandled("call-1", alert(9), done("acknowledged", { time: late }));
    const old = { handled: done("snoozed", { time: early }), escalated: { ...escalated(), time: early } };
    expect(add(9, Date.now(), old)).toBeNull();
    expect(states()).toEqual([[9, "acknowledged"]]);
  });

  it("are handled at the server, by what they are known by there", async () => {
    add(7);
    const [item] = alerts.value;
    if (item !== undefined) await handle(item, "assign");
    expect(sent.map(({ method, url }) => `${method} ${new URL(url).pathname}`)).toEqual([
      "POST /v1/calls/call-1/alerts",
    ]);
    expect(await sent[0]?.json()).toEqual({ alert_ms: 7, rule: "angry", deed: "assign" });
    expect(sent[0]?.headers.get("x-calmline-console")).toBe("1");
  });

  it("are bounded", () => {
    for (let at = 0; at < 510; at += 1) add(at, at);
    expect([alerts.value.length, alerts.value.at(-1)?.call_ms]).toEqual([500, 10]);
    expect(add(1, 1), "one for which there is no room is no news").toBeNull();
  });

  it("make room by what is done before what somebody has still to do", () => {
    myself.value = "li";
    const deeds: Record<number, AlertHandled> = {
      1: done("snoozed", { snooze_s: 300 }),
      2: done("assigned", { to: "li" }),
      3: done("acknowledged"),
      4: done("assigned", { to: "wang" }),
    };
    for (let at = 0; at < 500; at += 1) add(at, at, deeds[at] && { handled: deeds[at] });
    for (const at of [600, 601]) add(at, at);
    const oldest = alerts.value.slice(-4).map(({ call_ms }) => call_ms);
    expect([alerts.value.length, oldest]).toEqual([500, [5, 2, 1, 0]]);
  });
});

it("a state is that of its moment", () => {
  const snoozed = done("snoozed", { snooze_s: 10, time: new Date(60_000).toISOString() });
  expect(alertState({}, 60_000)).toBe("open");
  expect(alertState({ escalated: escalated() }, 60_000)).toBe("escalated");
  expect(alertState({ handled: snoozed }, 69_999)).toBe("snoozed");
  expect(alertState({ handled: snoozed }, 70_000)).toBe("open");
});
