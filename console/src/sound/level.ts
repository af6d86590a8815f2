// How loud samples are, in dBov: 0 is the overload point (a full-scale square wave), silence is the floor. Pure.

export const FLOOR_DBOV = -96;

/** The level of samples of -1 to 1. */
export function levelDbov(samples: ArrayLike<number>): number {
  let sum = 0;
  for (let at = 0; at < samples.length; at += 1) {
    const sample = samples[at] ?? 0;
    sum += sample * sample;
  }
  if (sum === 0) return FLOOR_DBOV;
  return Math.max(FLOOR_DBOV, 10 * Math.log10(sum / samples.length));
}
