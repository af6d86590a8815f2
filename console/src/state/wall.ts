// The calls that are up, as the wall shows them: read once, then kept by events, which are taken up once per picture.

import { computed, reactive, readonly, shallowRef } from "vue";
import { api } from "../api/client";
import { type FeedEvent, type FeedState, openFeed } from "../api/feed";
import type { Alert, AlertLine, Call, Summary } from "../api/shapes";
import { addAlert, alertState, clearAlerts, isMine, noteHandled, severityOf } from "./alerts";
import type { AnnouncedCall } from "./announce";
import { foldLive, type LiveCall, type LiveCalls, liveOf } from "./fold";
import { escalatedOf, foldCall, handledOf } from "./record";
import { compareRisk, rank, worse } from "./risk";
import { checkSession } from "./session";

/** Calls asked for at a time, and events that may wait until they are taken up; beyond it everything is read again. */
const PAGE = 1_000;
const PAGES_MAX = 10;
const QUEUE_MAX = 20_000;
/** How often rows may change places, and how often events are taken up while nobody looks. */
const SORT_MS = 1_000;
const HIDDEN_MS = 250;
/** When a list that could not be read is asked for again. */
const RETRY_MS = 3_000;
/** Alerts of a list that are told aloud, the most urgent ones: whoever was away for long is not rung at for minutes. */
const TOLD_MAX = 5;
const URGENCY: Record<Alert["severity"], number> = { info: 0, warning: 1, critical: 2 };

const state = reactive({ feed: "connecting" as FeedState, loaded: false, problem: null as string | null });
export const wall = readonly(state);

/** Rows in the order of risk. */
export const rows = shallowRef<LiveCall[]>([]);
export const counts = computed(() => {
  const counted = { low: 0, medium: 0, high: 0 };
  for (const { caller, callee } of rows.value) counted[worse(caller, callee)?.level ?? "low"] += 1;
  return counted;
});

/** The call that is looked at, as a whole. */
export const looked = shallowRef<Call | null>(null);
/** Every event of the call that is looked at, for those who wait for one. */
export const lookedEvents = new EventTarget();

/** Of which following of the server something is: what was asked for in an earlier one is nobody's any more. */
let epoch = 0;
let calls: LiveCalls = new Map();
let queue: FeedEvent[] = [];
let loading = false;
/** The list that is being read is out of date already. */
let again = false;
let retry: ReturnType<typeof setTimeout> | undefined;
/** Whether alerts have been read: those that are read later, and not known, came while the feed was down. */
let alertsRead = false;
let alertsRetry: ReturnType<typeof setTimeout> | undefined;
/** A call that is being read, and its events meanwhile. */
let awaited: { id: string; events: FeedEvent[] } | null = null;
let scheduled = false;
let sortedAtMs = 0;
let onAlert: (call: AnnouncedCall, alert: Alert) => void = () => {};

export function whenAlerted(react: typeof onAlert): void {
  onAlert = react;
}

/** Follows the server until the returned function is called; then everything is forgotten. */
export function startWall(): () => void {
  const feed = openFeed({
    event(event) {
      queue.push(event);
      if (queue.length > QUEUE_MAX) {
        queue = [];
        void load();
      }
      schedule();
    },
    lagged: () => void load(),
    state(now) {
      state.feed = now;
      if (now === "open" && !state.loaded) void load();
    },
    closed: () => void checkSession(),
  });
  return () => {
    epoch += 1;
    feed.close();
    clearTimeout(retry);
    clearTimeout(alertsRetry);
    [loading, again, alertsRead] = [false, false, false];
    awaited = null;
    calls = new Map();
    queue = [];
    rows.value = [];
    looked.value = null;
    Object.assign(state, { feed: "connecting", loaded: false, problem: null });
    clearAlerts();
  };
}

function schedule(): void {
  if (scheduled || loading) return;
  scheduled = true;
  // Pages that nobody sees get no pictures; alerts have to sound all the same.
  if (document.hidden) setTimeout(takeUp, HIDDEN_MS);
  else requestAnimationFrame(takeUp);
}

// A picture that was asked for is not drawn once the page is hidden.
document.addEventListener("visibilitychange", () => {
  if (document.hidden && scheduled) setTimeout(takeUp, HIDDEN_MS);
});

function takeUp(): void {
  scheduled = false;
  if (loading) return;
  const taken = queue;
  queue = [];
  const urgent = taken.map(foldOne).some(Boolean);
  show(urgent);
}

/** Takes up one event; true when rows should change places at once. */
function foldOne(event: FeedEvent): boolean {
  const before = calls.get(event.call);
  takeAlert(before ?? { id: event.call }, event);
  foldLive(calls, event);
  if (event.call === awaited?.id) awaited.events.push(event);
  if (looked.value !== null && event.call === looked.value.id) {
    looked.value = foldCall(looked.value, event);
    lookedEvents.dispatchEvent(new CustomEvent("event", { detail: event }));
  }
  const after = calls.get(event.call);
  const levelOf = (call: LiveCall | undefined) => worse(call?.caller ?? null, call?.callee ?? null)?.level ?? "low";
  return (before === undefined) !== (after === undefined) || rank(levelOf(after)) > rank(levelOf(before));
}

/** Takes up what an event says of an alert, if it does, and tells of it where it is new. */
function takeAlert(call: AnnouncedCall & Partial<LiveCall>, event: FeedEvent): void {
  const whose = { id: call.id, from: call.from ?? null };
  if (event.type === "alert") {
    const alert = event as unknown as Alert;
    if (addAlert(whose, Date.parse(event.time), alert) !== null) onAlert(call, alert);
  }
  if (event.type === "alert_handled") {
    const { alert, handled } = handledOf(event);
    noteHandled(event.call, alert, handled);
  }
  if (event.type === "alert_escalated") {
    const { alert, escalated } = escalatedOf(event);
    const told = { ...alert, escalated };
    const raisedMs = Date.parse(event.time) - (event.call_ms - alert.call_ms);
    if (addAlert(whose, raisedMs, told) !== null && isMine(escalated)) onAlert(call, told);
  }
}

function show(urgent: boolean): void {
  const nowMs = Date.now();
  if (urgent || nowMs - sortedAtMs > SORT_MS) {
    sortedAtMs = nowMs;
    rows.value = [...calls.values()].sort(compareRisk);
    return;
  }
  rows.value = rows.value.flatMap(({ id }) => calls.get(id) ?? []);
}

/** Reads all calls that are up; events that come meanwhile are taken up afterwards. */
async function load(): Promise<void> {
  if (loading) {
    again = true;
    return;
  }
  const mine = epoch;
  loading = true;
  clearTimeout(retry);
  try {
    const listed = await readAll();
    if (mine !== epoch) return;
    takeList(listed);
    Object.assign(state, { loaded: true, problem: null });
    void readAlerts();
    if (looked.value !== null) look(looked.value.id).catch(() => {});
  } catch (error) {
    if (mine !== epoch) return;
    state.problem = error instanceof Error ? error.message : String(error);
    retry = setTimeout(() => void load(), RETRY_MS);
  }
  loading = false;
  show(true);
  if (again) {
    again = false;
    void load();
  }
}

/** Puts the calls that were listed in the place of those that were known, and takes up what came meanwhile. */
function takeList(listed: readonly Summary[]): void {
  const fresh: LiveCalls = new Map();
  for (const summary of listed) fresh.set(summary.id, merged(calls.get(summary.id), summary));
  calls = fresh;
  // What came meanwhile may stand in the list already; counting is the only thing that must not be done twice.
  const waiting = queue;
  queue = [];
  for (const event of waiting) foldOne(event);
  for (const { id, alerts } of listed) {
    const call = calls.get(id);
    if (call !== undefined && call.alerts !== alerts) calls.set(id, { ...call, alerts });
  }
}

async function readAll(): Promise<Summary[]> {
  const known = new Map<string, Summary>();
  let before: string | undefined;
  for (let page = 0; page < PAGES_MAX; page += 1) {
    const { calls: listed } = await api.calls({ state: "active", limit: PAGE, ...(before && { before }) });
    const size = known.size;
    for (const summary of listed) known.set(summary.id, summary);
    const last = listed.at(-1);
    if (listed.length < PAGE || last === undefined || known.size === size) break;
    // Others may have begun in the same millisecond.
    before = new Date(Date.parse(last.started) + 1).toISOString();
  }
  return [...known.values()];
}

/** A call as listed, with what only events have told of it before. */
function merged(known: LiveCall | undefined, summary: Summary): LiveCall {
  const listed = liveOf(summary);
  if (known === undefined) return listed;
  const { spark, mos, lost } = known;
  const callee = listed.callee ?? known.callee;
  return { ...listed, spark, mos, lost, callee, fork: listed.fork ?? known.fork };
}

/** Reads the alerts that there are: at first those from before the console was opened, later those that no event has told. */
async function readAlerts(): Promise<void> {
  const mine = epoch;
  clearTimeout(alertsRetry);
  try {
    const listed = await api.alerts();
    if (mine !== epoch) return;
    const missed = listed.filter(({ call, from, raised, ...alert }) => {
      const news = addAlert({ id: call, from }, Date.parse(raised), alert);
      return news !== null && isForMe(alert);
    });
    if (alertsRead) tellMissed(missed);
    alertsRead = true;
  } catch {
    // The server is busy: rows say that there were alerts, and new ones are told.
    if (mine === epoch) alertsRetry = setTimeout(() => void readAlerts(), RETRY_MS);
  }
}

/** Whether an alert that nobody has told of yet waits for whoever sits here. */
function isForMe(alert: Alert): boolean {
  const { escalated } = alert;
  const stands = alertState(alert, Date.now());
  return stands === "open" || (stands === "escalated" && escalated !== undefined && isMine(escalated));
}

/** Tells of alerts that were raised, or became more urgent, while no event came. */
function tellMissed(missed: readonly AlertLine[]): void {
  const told = missed.map((alert) => ({ ...alert, severity: severityOf(alert) }));
  const first = told.sort((one, other) => URGENCY[other.severity] - URGENCY[one.severity]).slice(0, TOLD_MAX);
  for (const { call, route, ...alert } of first.reverse()) onAlert(calls.get(call) ?? { id: call, route }, alert);
}

/** Looks at a call from now on. */
export async function look(id: string): Promise<void> {
  const reading = { id, events: [] as FeedEvent[] };
  awaited = reading;
  const call = await api.call(id).catch((error: unknown) => {
    if (awaited === reading) awaited = null;
    throw error;
  });
  if (awaited !== reading) return;
  awaited = null;
  looked.value = reading.events.filter((event) => !isKnown(call, event)).reduce(foldCall, call);
}

/** Whether an event stands in a record that was read after it. */
function isKnown(call: Call, event: FeedEvent): boolean {
  if (event.type === "observed") {
    return call.timeline.some((step) => step.call_ms === event.call_ms && step.party === event.party);
  }
  return call.events.some(({ time, type, call_ms }) => {
    return time === event.time && type === event.type && call_ms === event.call_ms;
  });
}

export function lookAway(): void {
  awaited = null;
  looked.value = null;
}
