// Alerts, newest first, and what was done about them by whoever: the server keeps that, and tells everybody. Nothing stays here.

import { computed, reactive, toRaw } from "vue";
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

/** What is new of an alert that is told: all of it, that it has become more urgent, or nothing. */
export type News = "raised" | "escalated" | null;

/** Where an alert stands; -1 when it is not here. Read past what watches the list, which costs more than the looking. */
const placeOf = (key: string) => toRaw(state.items).findIndex((item) => item.key === key);

/** Takes an alert in its place, or what became of one that is here. */
export function addAlert(call: AlertedCall, timeMs: number, alert: Alert): News {
  const { id, from } = call;
  const { call_ms, severity, text, rule, handled, escalated } = alert;
  const key = alertKey(id, alert);
  const known = state.items[placeOf(key)];
  if (known !== undefined) return mend(known, alert);
  const items = [...toRaw(state.items)];
  const older = items.findIndex((item) => item.timeMs < timeMs);
  items.splice(older < 0 ? items.length : older, 0, {
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
  if (items.length > ALERTS_MAX) makeRoom(items);
  // Another list in its place: in one that is watched, moving what stands behind costs more than all the rest.
  state.items = items;
  return placeOf(key) < 0 ? null : "raised";
}

/** Takes up what has become of an alert. A list may have been read before what an event has told since. */
function mend(known: AlertItem, { handled, escalated }: Alert): News {
  const since = known.handled?.time ?? "";
  if (handled !== undefined && handled.time > since) noteDeed(known, handled);
  if (escalated === undefined || escalated.time < (known.handled?.time ?? "")) return null;
  if (escalated.step <= (known.escalated?.step ?? 0)) return null;
  known.escalated = escalated;
  return "escalated";
}

/** Drops the oldest alert for which nobody waits, or the oldest of all where somebody waits for each. */
function makeRoom(items: AlertItem[]): void {
  const done = items.findLastIndex((item) => !isPending(item, alertState(item, now.value)));
  items.splice(done < 0 ? items.length - 1 : done, 1);
}

/** Somebody has done something about an alert. */
export function noteHandled(call: string, alert: Pick<Alert, "call_ms" | "rule">, handled: AlertHandled): void {
  const item = state.items[placeOf(alertKey(call, alert))];
  if (item !== undefined) noteDeed(item, handled);
}

/** Whoever has done something about an alert has it wait no longer, or anew. */
function noteDeed(item: AlertItem, handled: AlertHandled): void {
  item.handled = handled;
  delete item.escalated;
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
  alerts.value.filter((item) => item.state !== "snoozed" && isPending(item, item.state)),
);

/** Whether somebody has still to do something about an alert, now or when it rests no longer. */
function isPending({ handled }: Pick<Alert, "handled">, state: AlertState): boolean {
  return state === "assigned" ? handled?.to === user.value : state !== "acknowledged" && state !== "ended";
}

/** Does something about an alert; what comes of it is told as an event. */
export function handle({ call, call_ms, rule }: AlertName, deed: AlertDeedWord, to?: string): Promise<unknown> {
  return api.handleAlert(call, { alert_ms: call_ms, rule, deed, ...(to !== undefined && { to }) });
}

/** Forgets all alerts. */
export function clearAlerts(): void {
  state.items = [];
}
