// What events make of one call that is looked at, in the same way as the server keeps its record. Pure.

import type { FeedEvent } from "../api/feed";
import type {
  Alert,
  AlertEscalated,
  AlertHandled,
  Breached,
  Call,
  CallEvent,
  Decision,
  Fork,
  Leg,
  Level,
  Party,
  Phrase,
  Prompt,
  Reroute,
  Step,
  Supervisor,
  WordsRead,
} from "../api/shapes";

/** As the server's own bounds: ten minutes of two steps a second, other events, deeds of one kind, phrases. */
const TIMELINE_MAX = 1_200;
const EVENTS_MAX = 500;
const DEEDS_MAX = 100;
const PHRASES_MAX = 300;

/** The call after an event of it. */
export function foldCall(call: Call, event: FeedEvent): Call {
  if (event.call !== call.id) return call;
  if (event.type === "observed") return withStep(call, event);
  // What callers type is shown while it happens, and kept nowhere.
  if (event.type === "key_pressed") return call;
  const { seq: _, ...told } = event;
  const changed: Call = { ...call, ...changeOf(call, event) };
  return { ...changed, events: push(changed.events, told as CallEvent, EVENTS_MAX) };
}

function push<T>(list: readonly T[], item: T, most: number): T[] {
  return [...list.slice(Math.max(0, list.length + 1 - most)), item];
}

/** The list with the last item that fits changed; unchanged when none does. */
function mend<T>(list: readonly T[], fits: (item: T) => boolean, change: Partial<T>): T[] {
  const at = list.findLastIndex(fits);
  return list.map((item, index) => (index === at ? { ...item, ...change } : item));
}

function withStep(call: Call, event: FeedEvent): Call {
  const heard = event as unknown as Step & { words?: WordsRead };
  const { call_ms, party, emotion, level, anger, trend_per_s, pitch_hz, level_dbov, words } = heard;
  const step: Step = { call_ms, party, emotion, level, anger, trend_per_s, pitch_hz, level_dbov };
  // Told with every step while they count; one of them is enough.
  const known = call.timeline.findLast((each) => each.party === party && each.words !== undefined)?.words;
  if (words !== undefined && words.until_ms !== known?.until_ms) step.words = words;
  const changed: Call = { ...call, timeline: push(call.timeline, step, TIMELINE_MAX) };
  if (party === "callee") return changed;
  const peak = call.peak === null || anger > call.peak.anger ? { call_ms, anger, level } : call.peak;
  return { ...changed, emotion: step, peak };
}

function changeOf(call: Call, event: FeedEvent): Partial<Call> {
  switch (event.type) {
    case "call_answered":
      return {
        state: "answered",
        answered: event.time,
        target: event.target as string,
        setup_ms: event.setup_ms as number,
      };
    case "call_forked":
      return { fork: { ...(event as unknown as Fork), paused: call.fork?.paused ?? false } };
    case "consent":
      return consentChange(call, event.state as string);
    case "chat_opened":
      return { channel: event.channel as string };
    case "fork_paused":
      return call.fork === undefined ? {} : { fork: { ...call.fork, paused: event.on as boolean } };
    case "priority_changed":
      return { queue_priority: (event.queue_priority as number | null) ?? undefined };
    case "bypassed":
      return { bypassed: true };
    case "bypass_ended":
      return { bypassed: false };
    case "decided":
      return { decisions: push(call.decisions, decisionOf(event), DEEDS_MAX) };
    case "alert":
      return { alerts: push(call.alerts, event as unknown as Alert, DEEDS_MAX) };
    case "alert_handled": {
      const { alert, handled } = handledOf(event);
      return { alerts: mend(call.alerts, isAlert(alert), { handled, escalated: undefined }) };
    }
    case "alert_escalated": {
      const { alert, escalated } = escalatedOf(event);
      return { alerts: mend(call.alerts, isAlert(alert), { escalated }) };
    }
    case "compliance_breached":
      return { breaches: push(call.breaches ?? [], event as unknown as Breached, DEEDS_MAX) };
    case "leg_ended":
      return { legs: push(call.legs, event as unknown as Leg, DEEDS_MAX) };
    case "said":
      return event.final === true && event.crosstalk !== true
        ? { phrases: withPhrases(call.phrases ?? [], event) }
        : {};
    case "call_ended":
      return endOf(call, event);
    default:
      return promptChange(call, event) ?? rerouteChange(call, event) ?? presenceChange(call, event) ?? {};
  }
}

/** Whether an alert of a call is the one that is named. */
const isAlert =
  ({ call_ms, rule }: Pick<Alert, "call_ms" | "rule">) =>
  (each: Alert) =>
    each.call_ms === call_ms && each.rule === rule;

/** About which alert of its call an event says that something was done, and what. */
export function handledOf(event: FeedEvent): { alert: Pick<Alert, "call_ms" | "rule">; handled: AlertHandled } {
  const { alert_ms, rule, ...told } = event as unknown as AlertHandled & { alert_ms: number; rule: string };
  const { deed, by, to, snooze_s, time } = told;
  const handled = { deed, by, time, ...(to !== undefined && { to }), ...(snooze_s !== undefined && { snooze_s }) };
  return { alert: { call_ms: alert_ms, rule }, handled };
}

/** About which alert of its call an event says that nobody has reacted, and how urgent it is now. */
export function escalatedOf(event: FeedEvent): { alert: Alert; escalated: AlertEscalated } {
  const told = event as unknown as AlertEscalated & Alert & { alert_ms: number };
  const { alert_ms: call_ms, rule, text, step, waited_s, severity, to, time } = told;
  return { alert: { call_ms, rule, text, severity }, escalated: { step, waited_s, severity, to, time } };
}

function decisionOf(event: FeedEvent): Decision {
  const { call_ms, rule, policy, actions, ...because } = event as unknown as Decision & Decision["because"];
  const { emotion, level, score, lasted_ms, failure, interruptions, said, facts, group } = because;
  return {
    call_ms,
    rule,
    policy,
    actions,
    because: { emotion, level, score, lasted_ms, failure, interruptions, said, facts, group },
  };
}

function withPhrases(phrases: Phrase[], event: FeedEvent): Phrase[] {
  const { call_ms, party } = event as unknown as { call_ms: number; party: Party };
  const heard = event.phrases as Phrase[];
  return [...phrases, ...heard.map((phrase) => ({ ...phrase, call_ms, party }))].slice(-PHRASES_MAX);
}

function endOf(call: Call, event: FeedEvent): Partial<Call> {
  return {
    state: "ended",
    ended: event.time,
    end_reason: event.reason as string,
    talk_ms: event.talk_ms as number,
    packets_lost: event.packets_lost as number,
    peak: {
      call_ms: call.peak?.call_ms ?? null,
      anger: event.peak_anger as number,
      level: event.peak_level as Level,
    },
  };
}

/** What was said before a refusal is shown no longer. */
function consentChange(call: Call, consent: string): Partial<Call> {
  if (consent !== "refused") return { consent };
  const timeline = call.timeline.map(({ words: _, ...step }) => step);
  return { consent, phrases: [], timeline, events: call.events.filter(({ type }) => type !== "said") };
}

function promptChange(call: Call, event: FeedEvent): Partial<Call> | null {
  const { call_ms, prompt, file, party } = event as unknown as Prompt;
  const reason = (event.reason ?? null) as string | null;
  switch (event.type) {
    case "prompt_started": {
      const reaction_ms = event.reaction_ms as number;
      const started: Prompt = { call_ms, prompt, file, party, reaction_ms, outcome: "playing", reason: null };
      return { prompts: push(call.prompts, started, DEEDS_MAX) };
    }
    case "prompt_failed": {
      const failed: Prompt = { call_ms, prompt, file, party, reaction_ms: null, outcome: "failed", reason };
      return { prompts: push(call.prompts, failed, DEEDS_MAX) };
    }
    case "prompt_ended": {
      const outcome = event.completed === true ? "completed" : "cut";
      return { prompts: mend(call.prompts, (each) => each.prompt === prompt, { outcome }) };
    }
    default:
      return null;
  }
}

function rerouteChange(call: Call, event: FeedEvent): Partial<Call> | null {
  const { call_ms, via, target, answer_ms, gap_ms, reason } = event as unknown as Reroute;
  const fresh: Reroute = { call_ms, via, target, outcome: "trying", answer_ms: null, gap_ms: null, reason: null };
  const change: Partial<Reroute> =
    event.type === "rerouted" ? { outcome: "done", answer_ms, gap_ms } : { outcome: "failed", reason };
  const fits = (each: Reroute) => each.outcome === "trying" && each.via === via && each.target === target;
  switch (event.type) {
    case "reroute_started":
      return { reroutes: push(call.reroutes, fresh, DEEDS_MAX) };
    case "rerouted":
    case "reroute_failed": {
      const known = call.reroutes.some(fits);
      const reroutes = known
        ? mend(call.reroutes, fits, change)
        : push(call.reroutes, { ...fresh, ...change }, DEEDS_MAX);
      // Somebody else is the caller: whoever serves stays.
      return event.type === "rerouted" && via !== "caller_replaced" ? { reroutes, target } : { reroutes };
    }
    default:
      return null;
  }
}

function presenceChange(call: Call, event: FeedEvent): Partial<Call> | null {
  const { supervisor, call_ms, target, mode, party, hears } = event as unknown as Supervisor;
  const change = (changed: Partial<Supervisor>) => ({
    supervisors: mend(call.supervisors, (each) => each.supervisor === supervisor, changed),
  });
  const client = event.client as number;
  const reason = (event.reason ?? null) as string | null;
  switch (event.type) {
    case "supervisor_called": {
      const state = "calling" as const;
      const called = { supervisor, call_ms, target, mode, party, hears, state, answer_ms: null, reason: null };
      return { supervisors: push(call.supervisors, called, DEEDS_MAX) };
    }
    case "supervisor_joined":
      return change({ state: "joined", answer_ms: event.answer_ms as number });
    case "supervisor_changed":
      return change({ mode, party, hears });
    case "supervisor_left":
      return change({ state: "left", reason });
    case "supervisor_failed":
      return change({ state: "failed", reason });
    case "audio_opened": {
      const opened = { client, call_ms, layout: event.layout as string, missed_ms: 0, lasted_ms: null };
      return { audio: push(call.audio, opened, DEEDS_MAX) };
    }
    case "audio_missed": {
      const missed_ms = event.missed_ms as number;
      return {
        audio: call.audio.map((each) =>
          each.client === client ? { ...each, missed_ms: each.missed_ms + missed_ms } : each,
        ),
      };
    }
    case "audio_closed":
      return { audio: mend(call.audio, (each) => each.client === client, { lasted_ms: event.lasted_ms as number }) };
    default:
      return null;
  }
}
