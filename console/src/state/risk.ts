// Which call needs a supervisor most: by level, then anger, then how fast it rises; the worse of both parties counts.

import type { Level, Step } from "../api/shapes";
import type { LiveCall } from "./fold";

const RANKS: Record<Level, number> = { low: 0, medium: 1, high: 2 };

/** What is known of a party's mood now. */
export type Mood = Pick<Step, "level" | "anger" | "trend_per_s" | "emotion">;

export function rank(level: Level): number {
  return RANKS[level];
}

/** The worse mood of two. */
export function worse(one: Mood | null, other: Mood | null): Mood | null {
  if (one === null || other === null) return one ?? other;
  return compareMoods(one, other) <= 0 ? one : other;
}

/** Negative when `one` is the worse of two. */
function compareMoods(one: Mood, other: Mood): number {
  return rank(other.level) - rank(one.level) || other.anger - one.anger || other.trend_per_s - one.trend_per_s;
}

const UNHEARD: Mood = { level: "low", anger: -1, trend_per_s: 0, emotion: "neutral" };

/** Orders calls by risk; those alike by age, the oldest first, so that rows do not dance. */
export function compareRisk(one: LiveCall, other: LiveCall): number {
  return (
    compareMoods(worse(one.caller, one.callee) ?? UNHEARD, worse(other.caller, other.callee) ?? UNHEARD) ||
    one.startedMs - other.startedMs ||
    (one.id < other.id ? -1 : 1)
  );
}

/** A change of anger per second that is worth an arrow. */
const TREND_PER_S = 0.02;

export type Trend = "rising" | "steady" | "falling";

export function trendOf(mood: Mood): Trend {
  if (mood.trend_per_s > TREND_PER_S) return "rising";
  return mood.trend_per_s < -TREND_PER_S ? "falling" : "steady";
}
