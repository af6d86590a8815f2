// Alerts, newest first, and what was done about them. What was done stays in this browser, without a word of the call.

import { computed, reactive } from "vue";
import type { Alert } from "../api/shapes";
import { now } from "./clock";

export interface AlertItem extends Alert {
  key: string;
  call: string;
  timeMs: number;
  /** From header's value of the call, where it is known; in memory only. */
  from: string | null;
}

/** What this browser's user has done about an alert, with the time of it. */
export interface Handled {
  acknowledgedMs?: number;
  snoozedUntilMs?: number;
}

const ALERTS_MAX = 500;
const HANDLED_MAX = 1_000;
const KEY = "calmline.alerts";
export const SNOOZE_MS = 5 * 60_000;
/** After this long without a reaction an alert stands out. */
export const ESCALATE_MS = 60_000;

const state = reactive({ items: [] as AlertItem[], handled: stored() });

function stored(): Record<string, Handled> {
  try {
    const kept = JSON.parse(localStorage.getItem(KEY) ?? "{}") as Record<string, Handled>;
    return typeof kept === "object" && kept !== null ? kept : {};
  } catch {
    return {};
  }
}

export function alertKey(call: string, { call_ms, rule }: Pick<Alert, "call_ms" | "rule">): string {
  return `${call}/${call_ms}/${rule}`;
}

/** What an alert shows of its call. */
export type AlertedCall = Pick<AlertItem, "from"> & { id: string };

/** Takes an alert in its place; true when it is a new one. */
export function addAlert(call: AlertedCall, timeMs: number, { call_ms, severity, text, rule }: Alert): boolean {
  const { id, from } = call;
  const key = alertKey(id, { call_ms, rule });
  if (state.items.some((item) => item.key === key)) return false;
  const older = state.items.findIndex((item) => item.timeMs < timeMs);
  const place = older < 0 ? state.items.length : older;
  state.items.splice(place, 0, { key, call: id, timeMs, from, call_ms, severity, text, rule });
  state.items.splice(ALERTS_MAX);
  return true;
}

export type AlertState = "open" | "escalated" | "snoozed" | "acknowledged";

export function alertState(item: AlertItem, handled: Handled | undefined, nowMs: number): AlertState {
  if (handled?.acknowledgedMs !== undefined) return "acknowledged";
  const snoozedUntilMs = handled?.snoozedUntilMs ?? 0;
  if (snoozedUntilMs > nowMs) return "snoozed";
  return nowMs - Math.max(item.timeMs, snoozedUntilMs) > ESCALATE_MS ? "escalated" : "open";
}

export const alerts = computed(() =>
  state.items.map((item) => ({ ...item, state: alertState(item, state.handled[item.key], now.value) })),
);

export const openAlerts = computed(() => alerts.value.filter(({ state }) => state === "open" || state === "escalated"));

function handle(key: string, what: Handled): void {
  state.handled[key] = what;
  const keys = Object.keys(state.handled);
  for (const oldest of keys.slice(0, Math.max(0, keys.length - HANDLED_MAX))) delete state.handled[oldest];
  localStorage.setItem(KEY, JSON.stringify(state.handled));
}

export function acknowledge(key: string): void {
  handle(key, { acknowledgedMs: Date.now() });
}

export function snooze(key: string): void {
  handle(key, { snoozedUntilMs: Date.now() + SNOOZE_MS });
}

/** Forgets all alerts; what was done about them stays known. */
export function clearAlerts(): void {
  state.items.splice(0);
}
