// The sound of an alert. Browsers stay silent until somebody has clicked or pressed a key.

import type { Alert } from "../api/shapes";

let context: AudioContext | null = null;

/** To be called from a click or a key. */
export function allowSound(): void {
  context ??= new AudioContext();
  if (context.state === "suspended") void context.resume();
}

/** Frequencies of the tones of an alert, one after another, Hz. */
const TONES_HZ: Record<Alert["severity"], readonly number[]> = {
  info: [660],
  warning: [660, 880],
  critical: [880, 660, 880],
};
const TONE_S = 0.13;

export function beep(severity: Alert["severity"]): void {
  if (context === null || context.state !== "running") return;
  const begin = context.currentTime + 0.02;
  for (const [place, frequency] of TONES_HZ[severity].entries()) {
    const at = begin + place * (TONE_S + 0.04);
    const tone = context.createOscillator();
    const envelope = context.createGain();
    tone.frequency.value = frequency;
    envelope.gain.setValueAtTime(0, at);
    envelope.gain.linearRampToValueAtTime(0.25, at + 0.01);
    envelope.gain.linearRampToValueAtTime(0, at + TONE_S);
    tone.connect(envelope).connect(context.destination);
    tone.start(at);
    tone.stop(at + TONE_S);
  }
}
