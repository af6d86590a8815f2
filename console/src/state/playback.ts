// Playing what was kept of a call: where its audio lies on the call's timeline, and what of it is muted. Pure but for `useKept`.

import { onBeforeUnmount, ref, watch } from "vue";
import { api, Problem } from "../api/client";
import type { Playback } from "../api/shapes";

/** How often it is asked again while the audio is still being kept, and for how long. */
const AGAIN_MS = 2_000;
const ASKED_MAX = 60;
/** How far the arrow keys go, seconds. */
export const STEP_S = 5;

/** The audio of a call. */
export const addressOf = (call: string) => `/v1/calls/${encodeURIComponent(call)}/playback.wav`;

/** The moment of the call, seconds since the INVITE, at a place of the audio. */
export const momentAt = ({ call_ms }: Playback, placeS: number) => call_ms / 1_000 + placeS;

/** The place of the audio at a moment of the call: its nearer end for a moment that has none. */
export function placeAt({ call_ms, duration_ms }: Playback, momentS: number): number {
  return Math.min(Math.max(momentS - call_ms / 1_000, 0), duration_ms / 1_000);
}

/** Whether nobody is to hear what is at a place. */
export function isMuted({ muted }: Playback, placeS: number): boolean {
  const ms = placeS * 1_000;
  return muted.some(({ from_ms, to_ms }) => from_ms <= ms && ms < to_ms);
}

/** All that is muted, seconds. */
export const mutedS = ({ muted }: Playback) =>
  muted.reduce((sum, { from_ms, to_ms }) => sum + to_ms - from_ms, 0) / 1_000;

/** What a refusal says of the audio: that there is none, that there will be, that it is gone; null where it is none of these. */
export function refusedBecause(error: unknown): "none" | "soon" | "gone" | null {
  if (!(error instanceof Problem)) return null;
  return ({ 404: "none", 409: "soon", 410: "gone" } as const)[error.status] ?? null;
}

/** What was kept of a call that has ended: asked for when `wanted` says which, and again while it is still being kept. */
export function useKept(wanted: () => string | null) {
  const kept = ref<Playback | null>(null);
  const isGone = ref(false);
  let timer: ReturnType<typeof setTimeout> | undefined;

  async function ask(call: string, left: number): Promise<void> {
    try {
      const found = await api.playback(call);
      if (wanted() === call) kept.value = found;
    } catch (error) {
      if (wanted() !== call) return;
      const why = refusedBecause(error);
      isGone.value = why === "gone";
      if (why === "soon" && left > 0) timer = setTimeout(() => void ask(call, left - 1), AGAIN_MS);
    }
  }

  watch(
    wanted,
    (call) => {
      clearTimeout(timer);
      kept.value = null;
      isGone.value = false;
      if (call !== null) void ask(call, ASKED_MAX);
    },
    { immediate: true },
  );
  onBeforeUnmount(() => clearTimeout(timer));
  return { kept, isGone };
}
