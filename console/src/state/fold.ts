// What events make of the calls on the wall. Pure: no clock, no network.

import type { FeedEvent } from "../api/feed";
import type { CallHead, LegQuality, Party, Step, Summary } from "../api/shapes";
import type { Mood } from "./risk";

/** Points of a spark line: half a minute of two steps a second. */
export const SPARK_MAX = 60;

/** A call that is up, as a row shows it. */
export interface LiveCall extends Pick<CallHead, "id" | "state" | "from" | "to" | "route" | "scenario" | "target"> {
  startedMs: number;
  caller: Mood | null;
  callee: Mood | null;
  /** The caller's anger, 0-1, oldest first. */
  spark: number[];
  /** Mean opinion of the worst leg that has ended, 1-4.5. */
  mos: number | null;
  /** Share of the last 10 s of audio that was lost on the way, the worse party, 0-1. */
  lost: Partial<Record<Party, number>>;
  /** How the call is forked to the server, e.g. `siprec`. */
  fork: string | null;
  /** By what the customer writes, when it is a chat, e.g. `app`. */
  channel: string | null;
  /** The numbers of the supervisors who take part. */
  supervisors: readonly number[];
  alerts: number;
}

export function liveOf(summary: Summary): LiveCall {
  const { id, state, from, to, route, scenario, target, emotion, callee, fork, channel, alerts, supervisors } = summary;
  return {
    id,
    state,
    from,
    to,
    route,
    scenario,
    startedMs: Date.parse(summary.started),
    target,
    caller: emotion,
    callee: callee ?? null,
    spark: emotion === null ? [] : [emotion.anger],
    mos: null,
    lost: {},
    fork: fork?.source ?? null,
    channel: channel ?? null,
    supervisors: supervisors ?? [],
    alerts,
  };
}

/** All calls that are up, by id. */
export type LiveCalls = Map<string, LiveCall>;

/** Takes an event up. Rows are replaced and never changed, so whoever shows one sees by identity whether it is new. */
export function foldLive(calls: LiveCalls, event: FeedEvent): void {
  if (event.type === "call_started") {
    // The list that was read meanwhile may know it already.
    if (!calls.has(event.call)) calls.set(event.call, begun(event));
    return;
  }
  const call = calls.get(event.call);
  if (call === undefined) return;
  if (event.type === "call_ended") {
    calls.delete(event.call);
    return;
  }
  const change = changeOf(call, event);
  if (change !== null) calls.set(call.id, { ...call, ...change });
}

function begun(event: FeedEvent): LiveCall {
  const { from, to, route, scenario } = event as unknown as Pick<Summary, "from" | "to" | "route" | "scenario">;
  return liveOf({
    id: event.call,
    state: "ringing",
    from,
    to,
    route,
    scenario,
    started: event.time,
    answered: null,
    ended: null,
    target: null,
    emotion: null,
    peak: null,
    decisions: 0,
    alerts: 0,
  });
}

function changeOf(call: LiveCall, event: FeedEvent): Partial<LiveCall> | null {
  switch (event.type) {
    case "observed":
      return heard(call, event as unknown as Observed);
    case "call_answered":
      return { state: "answered", target: event.target as string };
    case "rerouted":
      // Somebody else is the caller: whoever serves stays.
      return event.via === "caller_replaced" ? {} : { target: event.target as string };
    case "call_forked":
      return { fork: event.source as string };
    case "chat_opened":
      return { channel: event.channel as string };
    case "leg_ended": {
      const { mos_listening: mos } = event.quality as LegQuality;
      return mos === undefined ? null : { mos: Math.min(mos, call.mos ?? mos) };
    }
    case "alert":
      return { alerts: call.alerts + 1 };
    case "supervisor_joined":
      // The list that was read meanwhile may know it already.
      return { supervisors: [...without(call, event), event.supervisor as number] };
    case "supervisor_left":
      return { supervisors: without(call, event) };
    default:
      return null;
  }
}

/** The supervisors of a call but the one that an event is about. */
const without = ({ supervisors }: LiveCall, { supervisor }: FeedEvent) =>
  supervisors.filter((each) => each !== supervisor);

type Observed = Step & { delivery?: { lost_share: number } };

function heard(call: LiveCall, step: Observed): Partial<LiveCall> {
  const { party, level, anger, trend_per_s, emotion, delivery } = step;
  const mood: Mood = { level, anger, trend_per_s, emotion };
  const lost = delivery === undefined ? call.lost : { ...call.lost, [party]: delivery.lost_share };
  if (party === "callee") return { callee: mood, lost };
  return { caller: mood, lost, spark: [...call.spark.slice(1 - SPARK_MAX), anger] };
}
