// Alerts, newest first, and what was done about them by whoever: the server keeps that, and tells everybody. Nothing stays here.

import { computed, reactive } from "vue";
import { api } from "../api/client";
import type { Alert, AlertDeedWord, AlertEscalated, AlertHandled } from "../api/shapes";
import { now } from "./clock";
import { user } from "./session";

export interface AlertItem extends Alert {
  key: string;
  call: string;
  timeMs: number;
  /** From header's value of the call, where it is known; in memory only. */
  from: string | null;
}

/** What an alert is known by at the server. */
export type AlertName = Pick<AlertItem, "call" | "call_ms" | "rule">;

const ALERTS_MAX = 500;

const state = reactive({ items: [] as AlertItem[] });

function alertKey(call: string, { call_ms, rule }: Pick<Alert, "call_ms" | "rule">): string {
  return `${call}/${call_ms}/${rule}`;
}

/** What an alert shows of its call. */
export type AlertedCall = Pick<AlertItem, "from"> & { id: string };

/** Takes an alert in its place; true when it is a new one. */
export function addAlert(call: AlertedCall, timeMs: number, alert: Alert): boolean {
  const { id, from } = call;
  const { call_ms, severity, text, rule, handled, escalated } = alert;
  const key = alertKey(id, alert);
  const known = state.items.find((item) => item.key === key);
  if (known !== undefined) {
    if (handled !== undefined) known.handled = handled;
    if (escalated !== undefined) known.escalated = escalated;
    // Whoever did something about it since has it wait no longer.
    else if (handled !== undefined) delete known.escalated;
    return false;
  }
  const older = state.items.findIndex((item) => item.timeMs < timeMs);
  const place = older < 0 ? state.items.length : older;
  state.items.splice(place, 0, {
    key,
    call: id,
    timeMs,
    from,
    call_ms,
    severity,
    text,
    rule,
    ...(handled && { handled }),
    ...(escalated && { escalated }),
  });
  state.items.splice(ALERTS_MAX);
  return true;
}

/** Somebody has done something about an alert. */
export function noteHandled(call: string, alert: Pick<Alert, "call_ms" | "rule">, handled: AlertHandled): void {
  const key = alertKey(call, alert);
  const item = state.items.find((each) => each.key === key);
  if (item === undefined) return;
  item.handled = handled;
  // Whoever puts it off has it wait anew.
  delete item.escalated;
}

/** Nobody has reacted to an alert for long; the alert, when it is known. */
export function noteEscalated(
  call: string,
  alert: Pick<Alert, "call_ms" | "rule">,
  escalated: AlertEscalated,
): AlertItem | undefined {
  const key = alertKey(call, alert);
  const item = state.items.find((each) => each.key === key);
  if (item !== undefined) item.escalated = escalated;
  return item;
}

/** Whether an alert that escalated is for whoever sits here. */
export function isMine({ to }: AlertEscalated): boolean {
  return to === undefined || to.length === 0 || to.includes(user.value);
}

/** How urgent an alert is now. */
export function severityOf({ severity, escalated }: Alert): Alert["severity"] {
  return (escalated?.severity as Alert["severity"] | undefined) ?? severity;
}

export type AlertState = "open" | "escalated" | "snoozed" | "assigned" | "acknowledged" | "ended";

export function alertState({ handled, escalated }: Pick<Alert, "handled" | "escalated">, nowMs: number): AlertState {
  switch (handled?.deed) {
    case "acknowledged":
    case "assigned":
    case "ended":
      return handled.deed;
    case "snoozed":
      if (Date.parse(handled.time) + (handled.snooze_s ?? 0) * 1_000 > nowMs) return "snoozed";
  }
  return escalated === undefined ? "open" : "escalated";
}

export const alerts = computed(() => state.items.map((item) => ({ ...item, state: alertState(item, now.value) })));

/** Those that nobody has taken, and one's own. */
export const openAlerts = computed(() =>
  alerts.value.filter(({ state, handled }) =>
    state === "assigned" ? handled?.to === user.value : state === "open" || state === "escalated",
  ),
);

/** Does something about an alert; what comes of it is told as an event. */
export function handle({ call, call_ms, rule }: AlertName, deed: AlertDeedWord, to?: string): Promise<unknown> {
  return api.handleAlert(call, { alert_ms: call_ms, rule, deed, ...(to !== undefined && { to }) });
}

/** Forgets all alerts. */
export function clearAlerts(): void {
  state.items.splice(0);
}
