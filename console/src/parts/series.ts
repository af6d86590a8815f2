// A call's timeline as columns for the chart: one row per moment, gaps where a party was not heard. Pure.

import type { Call, Party, Step } from "../api/shapes";

/** A value; `null` is a gap in the line, `undefined` a row of the other party, which the line passes over. */
type Value = number | null | undefined;

/** Seconds since the INVITE; then anger of caller and callee (0-100), pitch (Hz) and loudness (dBov) of the caller. */
export type Columns = [seconds: number[], caller: Value[], callee: Value[], pitch: Value[], loudness: Value[]];

/** A party that was not heard for longer than this has a gap. */
const GAP_MS = 3_000;

export function columnsOf(timeline: readonly Step[]): Columns {
  const columns: Columns = [[], [], [], [], []];
  const rows = (["caller", "callee"] as const).flatMap((party) =>
    rowsOf(timeline.filter((step) => step.party === party)),
  );
  for (const row of rows.sort((one, other) => one.ms - other.ms)) addRow(columns, row);
  return columns;
}

interface Row {
  ms: number;
  party: Party;
  anger: Value;
  pitch: Value;
  loudness: Value;
}

/** The rows of one party, with one more where it was not heard for long. */
function rowsOf(steps: readonly Step[]): Row[] {
  return steps.flatMap(({ call_ms: ms, party, anger, pitch_hz, level_dbov }, at) => {
    const row = { ms, party, anger: anger * 100, pitch: pitch_hz > 0 ? pitch_hz : null, loudness: level_dbov };
    const long = ms - (steps[at - 1]?.call_ms ?? ms) > GAP_MS;
    return long ? [{ ms: ms - 1, party, anger: null, pitch: null, loudness: null }, row] : [row];
  });
}

function addRow(columns: Columns, { ms, party, anger, pitch, loudness }: Row): void {
  const [seconds, ...lines] = columns;
  seconds.push(ms / 1_000);
  const values: Value[] =
    party === "caller" ? [anger, undefined, pitch, loudness] : [undefined, anger, undefined, undefined];
  for (const [at, line] of lines.entries()) {
    const value = values[at];
    line.push(value);
    // A gap has no rows that the line passes over.
    if (value === null) for (let row = line.length - 2; row >= 0 && line[row] === undefined; row -= 1) line[row] = null;
  }
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
