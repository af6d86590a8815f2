// A call's timeline as columns for the chart: one row per moment, gaps where a party says nothing. Pure.

import type { Call, Step } from "../api/shapes";

/** Seconds since the INVITE; then anger of caller and callee (0-100), pitch (Hz) and loudness (dBov) of the caller. */
export type Columns = [
  seconds: number[],
  caller: (number | null)[],
  callee: (number | null)[],
  pitch: (number | null)[],
  loudness: (number | null)[],
];

export function columnsOf(timeline: readonly Step[]): Columns {
  const columns: Columns = [[], [], [], [], []];
  const ordered = [...timeline].sort((one, other) => one.call_ms - other.call_ms);
  for (const { call_ms, party, anger, pitch_hz, level_dbov } of ordered) {
    const caller = party === "caller";
    columns[0].push(call_ms / 1_000);
    columns[1].push(caller ? anger * 100 : null);
    columns[2].push(caller ? null : anger * 100);
    columns[3].push(caller && pitch_hz > 0 ? pitch_hz : null);
    columns[4].push(caller ? level_dbov : null);
  }
  return columns;
}

/** A moment that the chart marks, seconds since the INVITE. */
export interface Mark {
  seconds: number;
  kind: "decision" | "prompt" | "move" | "alert" | "words" | "supervisor";
}

/** All marks of a call, in the order of time. */
export function marksOf(call: Call): Mark[] {
  const of = (kind: Mark["kind"], deeds: readonly { call_ms: number }[]) =>
    deeds.map(({ call_ms }) => ({ seconds: call_ms / 1_000, kind }));
  const marks = [
    ...of("words", call.phrases ?? []),
    ...of(
      "words",
      call.timeline.filter(({ words }) => (words?.found.length ?? 0) > 0),
    ),
    ...of("prompt", call.prompts),
    ...of("move", call.reroutes),
    ...of("supervisor", call.supervisors),
    ...of("decision", call.decisions),
    ...of("alert", call.alerts),
  ];
  return marks.sort((one, other) => one.seconds - other.seconds);
}
