// How the wall keeps up with the server: what is told aloud, what is read again, and what is left of whoever was here before.

import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { ref } from "vue";
import type { FeedEvent, FeedWatcher } from "../api/feed";
import type { AlertLine, Summary } from "../api/shapes";

vi.useFakeTimers({ now: 1_700_000_000_000 });
vi.stubGlobal("document", { hidden: false, addEventListener: () => {} });
vi.stubGlobal("requestAnimationFrame", (act: () => void) => setTimeout(act, 16));

/** What the server is asked for, each answered when the test says so. */
interface Asked {
  answer(what: unknown): void;
  refuse(): void;
}
let asked: Record<"calls" | "alerts" | "call", Asked[]>;
const ask = (what: keyof typeof asked) => () =>
  new Promise((resolve, reject) => asked[what].push({ answer: resolve, refuse: () => reject(new Error("busy")) }));
vi.doMock("../api/client", () => ({ api: { calls: ask("calls"), alerts: ask("alerts"), call: ask("call") } }));
let watcher: FeedWatcher;
vi.doMock("../api/feed", () => ({
  openFeed(watches: FeedWatcher) {
    watcher = watches;
    return { close: () => {} };
  },
}));
vi.doMock("./session", () => ({ user: ref("li"), checkSession: async () => {} }));
const { alerts } = await import("./alerts");
const { look, looked, rows, startWall, wall, whenAlerted } = await import("./wall");

const told: string[] = [];
whenAlerted(({ id, route }, { rule, severity, escalated }) => {
  told.push([id, route, rule, severity, escalated?.step].join(" ").trim());
});
let stop: () => void;
const begin = () => {
  stop = startWall();
  watcher.state("open");
};
beforeEach(() => {
  asked = { calls: [], alerts: [], call: [] };
  told.length = 0;
  begin();
});
afterEach(() => stop());

const TIME = "2023-11-14T22:13:20.000Z";
const summary = (id: string) =>
  ({ id, state: "answered", route: "sales", from: "", to: "", started: TIME, emotion: null, alerts: 0 }) as Summary;
const line = (rule: string, more: Partial<AlertLine> = {}): AlertLine => ({
  call: "call-1",
  from: null,
  route: "sales",
  raised: TIME,
  call_ms: 5,
  severity: "warning",
  text: "angry caller",
  rule,
  ...more,
});
const escalated = (step: number, to: string[] = []) => ({ step, waited_s: 60, severity: "critical", to, time: TIME });
const handled = { deed: "acknowledged", by: "wang", time: TIME };
const event = (type: string, fields: object) => {
  watcher.event({ seq: 1, time: TIME, call: "call-1", call_ms: 5, type, ...fields } as FeedEvent);
  return vi.advanceTimersByTimeAsync(20);
};
/** Answers what was asked last. */
const answer = (what: keyof typeof asked, data: unknown) => {
  asked[what].at(-1)?.answer(data);
  return vi.advanceTimersByTimeAsync(0);
};
const listed = async (calls: Summary[], found: AlertLine[]) => {
  await answer("calls", { calls });
  await answer("alerts", found);
};

it("rings for what was raised or became more urgent while the feed was down, once, and not for what was there before", async () => {
  await listed([summary("call-1")], [line("old"), line("rising")]);
  expect([told, alerts.value.length]).toEqual([[], 2]);
  watcher.lagged();
  await listed(
    [summary("call-1")],
    [
      line("old"),
      line("rising", { escalated: escalated(1) }),
      line("new"),
      line("new"),
      line("of another call", { call: "call-9" }),
      line("done", { handled }),
      line("for others", { escalated: escalated(1, ["wang"]) }),
    ],
  );
  expect(told).toEqual([
    "call-9 sales of another call warning",
    "call-1 sales new warning",
    "call-1 sales rising critical 1",
  ]);
  await event("alert", { rule: "new", severity: "warning", text: "angry caller" });
  await event("alert_escalated", { alert_ms: 5, rule: "rising", text: "angry caller", ...escalated(1) });
  expect(told).toHaveLength(3);
  await event("alert_escalated", { alert_ms: 5, rule: "rising", text: "angry caller", ...escalated(2) });
  expect(told.at(-1)).toBe("call-1 sales rising critical 2");
});

it("rings for a few of many, the most urgent ones", async () => {
  await listed([], []);
  watcher.lagged();
  const many = Array.from({ length: 20 }, (_, at) => line(`rule-${at}`, { severity: at === 19 ? "critical" : "info" }));
  await listed([], many);
  expect([told.length, told.at(-1), alerts.value.length]).toEqual([5, "call-1 sales rule-19 critical", 20]);
});

it("asks again for alerts that could not be read", async () => {
  await answer("calls", { calls: [] });
  asked.alerts[0]?.refuse();
  await vi.advanceTimersByTimeAsync(3_000);
  await answer("alerts", [line("old")]);
  expect([asked.alerts.length, alerts.value.length, told]).toEqual([2, 1, []]);
});

it("shows an alert that it hears of for the first time when it becomes more urgent", async () => {
  await listed([summary("call-1")], []);
  await event("alert_escalated", { call_ms: 60_005, alert_ms: 5, rule: "old", text: "angry caller", ...escalated(1) });
  const raised = Date.parse(TIME) - 60_000;
  expect(alerts.value).toMatchObject([{ rule: "old", text: "angry caller", timeMs: raised, state: "escalated" }]);
  expect(told).toEqual(["call-1 sales old critical 1"]);
});

it("shows nobody the calls and alerts of whoever was here before", async () => {
  const [earlier] = asked.calls;
  stop();
  begin();
  earlier?.answer({ calls: [summary("theirs")] });
  await vi.advanceTimersByTimeAsync(0);
  expect([rows.value, wall.loaded, asked.calls.length]).toEqual([[], false, 2]);
  await answer("calls", { calls: [summary("own")] });
  expect(rows.value.map(({ id }) => id)).toEqual(["own"]);
  const [theirs] = asked.alerts;
  stop();
  begin();
  theirs?.answer([line("theirs")]);
  await vi.advanceTimersByTimeAsync(0);
  expect(alerts.value).toEqual([]);
});

it("asks for nothing more once it is stopped", async () => {
  const [earlier] = asked.calls;
  stop();
  earlier?.refuse();
  await vi.advanceTimersByTimeAsync(10_000);
  expect([asked.calls.length, wall.problem]).toEqual([1, null]);
});

it("takes up what comes while a call is read, and nothing for one that could not be", async () => {
  await listed([summary("call-1")], []);
  const failed = look("call-1").catch(() => "failed");
  asked.call[0]?.refuse();
  expect(await failed).toBe("failed");
  const reading = look("call-1");
  await event("bypassed", {});
  await answer("call", { id: "call-1", events: [], timeline: [], alerts: [] });
  await reading;
  expect(looked.value).toMatchObject({ bypassed: true });
});
