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
const {
  addAlert,
  alertState,
  alerts,
  clearAlerts,
  handle,
  isMine,
  noteEscalated,
  noteHandled,
  openAlerts,
  severityOf,
} = await import("./alerts");

const alert = (call_ms: number): Alert => ({ call_ms, severity: "critical", text: "angry caller", rule: "angry" });
const call = { id: "call-1", from: '"Li" <sip:13800138000@pbx.example>' };
const add = (call_ms: number, timeMs = Date.now()) => addAlert(call, timeMs, alert(call_ms));
const done = (deed: string, more: Partial<AlertHandled> = {}): AlertHandled => ({
  deed,
  by: "li",
  time: new Date().toISOString(),
  ...more,
});
const escalated = (to: string[] = []): AlertEscalated => ({
  step: 1,
  waited_s: 60,
  severity: "critical",
  to,
  time: new Date().toISOString(),
});
const states = () => alerts.value.map(({ call_ms, state }) => [call_ms, state]);

beforeEach(() => clearAlerts());

describe("alerts", () => {
  it("stand newest first, each once", () => {
    expect([add(1, 10), add(3, 30), add(2, 20), add(2, 20)]).toEqual([true, true, true, false]);
    expect(alerts.value.map(({ call_ms }) => call_ms)).toEqual([3, 2, 1]);
  });

  it("escalate when nobody reacts, and rest while snoozed", () => {
    add(4);
    vi.advanceTimersByTime(3_600_000);
    expect(states()).toEqual([[4, "open"]]);
    myself.value = "li";
    expect(noteEscalated("call-1", alert(4), escalated())?.call_ms).toBe(4);
    expect(noteEscalated("call-1", alert(4), escalated(["wang"]))?.escalated?.to).toEqual(["wang"]);
    expect([isMine(escalated()), isMine(escalated(["wang"])), isMine(escalated(["li"]))]).toEqual([true, false, true]);
    expect(states()).toEqual([[4, "escalated"]]);
    expect(alerts.value.map(severityOf)).toEqual(["critical"]);
    noteHandled("call-1", alert(4), done("snoozed", { snooze_s: 300 }));
    expect(states()).toEqual([[4, "snoozed"]]);
    expect(openAlerts.value).toHaveLength(0);
    vi.advanceTimersByTime(5 * 60_000 + 1_000);
    expect(states()).toEqual([[4, "open"]]);
    noteEscalated("call-1", alert(4), escalated(["li"]));
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
    expect(addAlert(call, Date.now(), { ...alert(6), handled: done("acknowledged") })).toBe(false);
    expect(states()).toEqual([[6, "acknowledged"]]);
    add(6);
    expect(states()).toEqual([[6, "acknowledged"]]);
  });

  it("wait no longer when they are told again as handled, until they escalate again", () => {
    add(8);
    noteEscalated("call-1", alert(8), escalated());
    const handled = done("snoozed", { snooze_s: 0 });
    addAlert(call, Date.now(), { ...alert(8), handled });
    expect(states()).toEqual([[8, "open"]]);
    expect(alerts.value[0]).not.toHaveProperty("escalated");
    addAlert(call, Date.now(), { ...alert(8), handled, escalated: escalated() });
    expect(states()).toEqual([[8, "escalated"]]);
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
  });
});

it("a state is that of its moment", () => {
  const snoozed = done("snoozed", { snooze_s: 10, time: new Date(60_000).toISOString() });
  expect(alertState({}, 60_000)).toBe("open");
  expect(alertState({ escalated: escalated() }, 60_000)).toBe("escalated");
  expect(alertState({ handled: snoozed }, 69_999)).toBe("snoozed");
  expect(alertState({ handled: snoozed }, 70_000)).toBe("open");
});
