// What a new alert says aloud and on the desktop, and what it never does.

import { beforeEach, expect, it, vi } from "vitest";
import type { LiveCall } from "./fold";

class Shown {
  static permission = "granted";
  static requestPermission = async () => Shown.permission;
  onclick: (() => void) | null = null;
  constructor(
    readonly title: string,
    readonly options: { body: string; tag: string; silent: boolean },
  ) {
    shown.push(this);
  }
}
const shown: Shown[] = [];
const beeps: string[] = [];
const place = { hash: "" };
vi.stubGlobal("Notification", Shown);
vi.stubGlobal("window", { Notification: Shown, isSecureContext: true, focus: () => {} });
vi.stubGlobal("location", place);
const settings = { language: "en", sound: true, notify: true };
vi.doMock("./settings", () => ({ settings }));
vi.doMock("../sound/beep", () => ({ beep: (severity: string) => beeps.push(severity) }));
const { announceAlert, askToNotify } = await import("./announce");

const call = { id: "call 1", from: '"Wang" <sip:13800138000@pbx>', route: "refunds" } as LiveCall;
const alert = { call_ms: 1, rule: "angry", severity: "critical" as const, text: "An angry caller" };

beforeEach(() => {
  [shown.length, beeps.length] = [0, 0];
  Object.assign(settings, { sound: true, notify: true });
  Shown.permission = "granted";
});

it("is heard and shown, without a word of who calls, and leads to the call", () => {
  announceAlert(call, alert);
  expect(beeps).toEqual(["critical"]);
  const [told] = shown;
  expect(told).toMatchObject({ title: "Calmline: critical alert", options: { body: "An angry caller · refunds" } });
  expect(JSON.stringify(told)).not.toMatch(/Wang|13800138000/);
  told?.onclick?.();
  expect(place.hash).toBe("#/calls/call%201");
});

it("takes the place of no other one of its call, nor of itself before it became more urgent", () => {
  const escalated = { step: 1, waited_s: 60, severity: "critical", to: [], time: "2023-11-14T22:13:20.000Z" };
  for (const each of [alert, { ...alert, call_ms: 2 }, { ...alert, rule: "silent" }, { ...alert, escalated }]) {
    announceAlert(call, each);
  }
  announceAlert({ id: "call 2" }, alert);
  expect(new Set(shown.map(({ options }) => options.tag)).size).toBe(5);
  expect(shown.at(-1)?.options.body).toBe("An angry caller");
  shown.at(-1)?.onclick?.();
  expect(place.hash).toBe("#/calls/call%202");
});

it("is silent and unseen where the person or the browser wants it so", async () => {
  Object.assign(settings, { sound: false, notify: false });
  announceAlert(call, alert);
  settings.notify = true;
  Shown.permission = "denied";
  expect(await askToNotify()).toBe(false);
  announceAlert(call, alert);
  expect([shown.length, beeps.length]).toEqual([0, 0]);
});
