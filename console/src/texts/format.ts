// Numbers, times and addresses as people read them. Pure.

import type { Spread } from "../api/shapes";

/** `3:05`, or `1:02:03` from an hour on. */
export function duration(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1_000));
  const [hours, minutes] = [Math.floor(seconds / 3_600), Math.floor(seconds / 60) % 60];
  return hours > 0 ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`;
}

/** The time of day in this browser's zone, `14:03:09`. */
export function timeOfDay(moment: string | number): string {
  return new Date(moment).toLocaleTimeString("en-GB", { hour12: false });
}

/** The day in this browser's zone, `2026-11-26`. */
export function dayOf(moment: Date): string {
  return `${moment.getFullYear()}-${two(moment.getMonth() + 1)}-${two(moment.getDate())}`;
}

/** The day and time of this browser's zone, `2026-11-26 14:03:09`. */
export function dayAndTime(moment: string | number): string {
  return `${dayOf(new Date(moment))} ${timeOfDay(moment)}`;
}

/** The time of day of a moment of this day, the day and time of any other. */
export function dayOrTime(moment: string | number, today: string): string {
  return dayOf(new Date(moment)) === today ? timeOfDay(moment) : dayAndTime(moment);
}

function two(value: number): string {
  return String(value).padStart(2, "0");
}

export function seconds(ms: number): string {
  return (ms / 1_000).toFixed(1);
}

export function percent(share: number): number {
  return Math.round(share * 100);
}

/** `12.3 MB`; powers of a thousand. */
export function size(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let [value, unit] = [bytes, 0];
  while (value >= 1_000 && unit < units.length - 1) {
    value /= 1_000;
    unit += 1;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}

/** Who stands in a From or To header (RFC 3261 §20.10): the name, where there is one, and the user of the address. */
export interface Who {
  name: string;
  address: string;
}

export function whoIs(header: string): Who {
  // Of whoever writes, and of recordings, there is no address: what stands for the person, as far as it tells people apart.
  const [, person] = /^person:([0-9a-f]{8})[0-9a-f]*$/.exec(header.trim()) ?? [];
  if (person !== undefined) return { name: "", address: `person:${person}…` };
  const [, quoted, plain, uri] = /^\s*(?:"((?:[^"\\]|\\.)*)"|([^<"]*?))\s*<([^>]*)>/.exec(header) ?? [];
  const name = (quoted?.replace(/\\(.)/g, "$1") ?? plain ?? "").trim();
  const [, user] = /^(?:sips?|tel):([^@;?]+)/i.exec((uri ?? header).trim()) ?? [];
  return { name, address: user === undefined ? (uri ?? header).trim() : decoded(user) };
}

function decoded(user: string): string {
  try {
    return decodeURIComponent(user);
  } catch {
    return user;
  }
}

/** From one size of a spread to the next, as the server counts. */
const SPREAD_STEP = 1.05;

/** The time, milliseconds, that this share (0-1) of a spread does not exceed by more than 5 %; `null` without any. */
export function spreadAt(spread: Spread, share: number): number | null {
  const sizes = Object.entries(spread).map(([size, count]) => [Number(size), count] as const);
  sizes.sort(([one], [other]) => one - other);
  const all = sizes.reduce((sum, [, count]) => sum + count, 0);
  const wanted = Math.max(1, Math.ceil(all * share));
  let seen = 0;
  for (const [size, count] of sizes) {
    seen += count;
    if (seen >= wanted) return Math.floor(SPREAD_STEP ** (size + 1) - 1);
  }
  return null;
}
