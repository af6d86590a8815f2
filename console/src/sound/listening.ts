// Listening in: which call is heard now, if any, and how loud its sides are. One call at a time.

import { reactive, readonly } from "vue";
import { api, Problem } from "../api/client";
import { FLOOR_DBOV } from "./level";
import { Player } from "./player";
import { WavStream } from "./wav";

export type ListeningState = "silent" | "connecting" | "playing" | "ended" | "failed";

const state = reactive({
  /** The call that is, or was last, listened to. */
  call: null as string | null,
  state: "silent" as ListeningState,
  /** What went wrong, as the server says it. */
  problem: null as Problem | null,
  /** Levels of what is heard, dBov; the callee's side is what the caller hears. */
  callerDbov: FLOOR_DBOV,
  calleeDbov: FLOOR_DBOV,
  callerVolume: 1,
  calleeVolume: 1,
});

export const listening = readonly(state);

/** How often levels are read. */
const METER_MS = 60;

let stopNow: (() => void) | null = null;

/** Begins to listen; what was listened to before is left. Must follow a click or a key, or browsers stay silent. */
export async function listenTo(call: string): Promise<void> {
  stopListening();
  const abort = new AbortController();
  const stream = new WavStream();
  let player: Player | null = null;
  const timer = setInterval(() => {
    if (player !== null) [state.callerDbov, state.calleeDbov] = player.levels();
  }, METER_MS);
  const stop = () => {
    abort.abort();
    clearInterval(timer);
    player?.close();
    Object.assign(state, { callerDbov: FLOOR_DBOV, calleeDbov: FLOOR_DBOV });
  };
  stopNow = stop;
  Object.assign(state, { call, state: "connecting", problem: null });
  try {
    const reader = (await api.audio(call, abort.signal)).getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done || abort.signal.aborted) break;
      const piece = stream.push(value);
      if (stream.format === null) continue;
      player ??= startedPlayer(stream.format.rateHz);
      player.play(piece);
    }
    finish(stop, "ended", null);
  } catch (error) {
    const problem = error instanceof Problem ? error : new Problem(0, String(error));
    finish(stop, "failed", abort.signal.aborted ? null : problem);
  }
}

function startedPlayer(rateHz: number): Player {
  const player = new Player(rateHz);
  player.setVolumes(state.callerVolume, state.calleeVolume);
  activePlayer = player;
  state.state = "playing";
  return player;
}

let activePlayer: Player | null = null;

/** The stream is over by itself; when it was stopped, somebody else has said so already. */
function finish(stop: () => void, as: ListeningState, problem: Problem | null): void {
  if (stopNow !== stop) return;
  stop();
  stopNow = null;
  activePlayer = null;
  Object.assign(state, { state: as, problem });
}

/** Silence at once. */
export function stopListening(): void {
  stopNow?.();
  stopNow = null;
  activePlayer = null;
  Object.assign(state, { state: "silent", call: null, problem: null });
}

/** Volumes of both sides, 0-1. */
export function setVolumes(callerVolume: number, calleeVolume: number): void {
  Object.assign(state, { callerVolume, calleeVolume });
  activePlayer?.setVolumes(callerVolume, calleeVolume);
}
