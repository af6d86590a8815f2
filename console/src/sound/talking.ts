// Taking part in a call from this browser: hearing it, speaking to the callee alone or to both. One call at a time.
//
// The microphone is asked for when somebody wants to speak, and let go of when they only listen.

import { reactive, readonly } from "vue";
import { api, Problem } from "../api/client";
import type { Party, SupervisionMode } from "../api/shapes";
import { Connection } from "./connection";
import { FLOOR_DBOV } from "./level";
import { listenTo, stopListening } from "./listening";

export type TalkingState = "silent" | "connecting" | "connected" | "ended" | "failed";
/** Why there is no microphone. */
export type MicrophoneTrouble = "refused" | "missing" | "insecure";

const state = reactive({
  /** The call that is, or was last, taken part in. */
  call: null as string | null,
  /** The number in that call. */
  supervisor: null as number | null,
  mode: "listen" as SupervisionMode,
  /** Who alone hears a whisper. */
  party: null as Party | null,
  /** Whether the mode is being changed: the microphone, or the server, is waited for. */
  changing: false,
  state: "silent" as TalkingState,
  muted: false,
  trouble: null as MicrophoneTrouble | null,
  problem: null as Problem | null,
  /** Why it is over, as the server says it. */
  reason: null as string | null,
  /** Whether the call is listened to by a stream instead. */
  fellBack: false,
  /** Levels, dBov. */
  heardDbov: FLOOR_DBOV,
  saidDbov: FLOOR_DBOV,
});

export const talking = readonly(state);

const METER_MS = 60;

let connection: Connection | null = null;
/** How often taking part has begun or ended: what is under way and finds another number there is not wanted any more. */
let attempts = 0;
let meter: ReturnType<typeof setInterval> | undefined;

/** Takes part in a call, or does so in another way. Must follow a click or a key. */
export async function takePart(call: string, mode: SupervisionMode): Promise<void> {
  state.trouble = null;
  if (connection !== null && state.call === call) await change(call, mode);
  else await begin(call, mode);
}

/** Leaves the call, and silence at once. */
export function leave(): void {
  const { call, supervisor } = state;
  end("silent");
  if (call !== null && supervisor !== null) {
    // It may be over already; whoever has left does not need to know.
    api.endSupervisor(call, supervisor).catch(() => {});
  }
}

/** The record of the call says that this part of it is over. */
export function isOver(reason: string | null): void {
  if (connection === null) return;
  end("ended");
  state.reason = reason;
}

/** The record of the call says how we take part: others may change it. Listening lets go of the microphone. */
export function follow(mode: SupervisionMode, party: Party | null): void {
  if (connection === null || state.changing) return;
  Object.assign(state, { mode, party });
  if (mode === "listen") void connection.fallSilent();
}

export function mute(muted: boolean): void {
  state.muted = muted;
  connection?.mute(muted);
}

async function begin(call: string, mode: SupervisionMode): Promise<void> {
  if (connection !== null) leave();
  stopListening();
  Object.assign(state, { call, supervisor: null, mode, state: "connecting", problem: null, reason: null });
  Object.assign(state, { party: partyOf(mode), fellBack: false, muted: false });
  attempts += 1;
  const attempt = attempts;
  try {
    const ways = await api.webrtc();
    if (!ways.enabled || !("RTCPeerConnection" in globalThis)) throw new Problem(501, "WebRTC");
    const microphone = mode === "listen" ? null : await openMicrophone();
    if (attempt !== attempts) {
      microphone?.stop();
      return;
    }
    const opened = new Connection(ways.ice_servers, (stands) => react(opened, stands));
    connection = opened;
    if (microphone !== null) await opened.speak(microphone);
    const { supervisor, answer } = await api.connect(call, mode, await opened.offer());
    if (attempt !== attempts) {
      await api.endSupervisor(call, supervisor);
      return;
    }
    state.supervisor = supervisor;
    await opened.accept(answer);
    meter = setInterval(() => {
      [state.heardDbov, state.saidDbov] = opened.levels();
    }, METER_MS);
  } catch (error) {
    // Whoever has left, or begun something else meanwhile, is not told of this.
    if (attempt === attempts) fail(error);
  }
}

function react(of: Connection, stands: boolean): void {
  if (connection !== of) return;
  if (stands) state.state = "connected";
  else fail(new Problem(0, ""));
}

/** Speaking begins with the microphone and ends with it. One change at a time. */
async function change(call: string, mode: SupervisionMode): Promise<void> {
  const mine = connection;
  const { supervisor } = state;
  if (mine === null || supervisor === null || state.changing) return;
  const needsMicrophone = mode !== "listen" && !mine.speaks;
  if (mode === state.mode && partyOf(mode) === state.party && !needsMicrophone) return;
  state.changing = true;
  try {
    if (needsMicrophone) {
      const microphone = await openMicrophone();
      if (connection !== mine) {
        microphone.stop();
        return;
      }
      await mine.speak(microphone);
      mine.mute(state.muted);
    }
    await api.changeSupervisor(call, supervisor, orderOf(mode));
    if (connection !== mine) return;
    Object.assign(state, { mode, party: partyOf(mode) });
    if (mode === "listen") await mine.fallSilent();
  } catch (error) {
    if (connection !== mine) return;
    if (state.mode === "listen") await mine.fallSilent();
    if (error instanceof Trouble) state.trouble = error.kind;
    else state.problem = asProblem(error);
  } finally {
    // Whatever began meanwhile has a change of its own to wait for.
    if (connection === mine) state.changing = false;
  }
}

/** A whisper is for the callee; whoever listens or barges in has no party. */
const partyOf = (mode: SupervisionMode) => (mode === "whisper" ? ("callee" as const) : null);
const orderOf = (mode: SupervisionMode) => (mode === "whisper" ? { mode, party: "callee" as const } : { mode });

class Trouble extends Error {
  constructor(readonly kind: MicrophoneTrouble) {
    super(kind);
  }
}

async function openMicrophone(): Promise<MediaStreamTrack> {
  // Browsers have microphones for pages over HTTPS and of this machine only.
  if (navigator.mediaDevices === undefined) throw new Trouble("insecure");
  try {
    const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
    const [track] = stream.getAudioTracks();
    if (track === undefined) throw new Trouble("missing");
    return track;
  } catch (error) {
    const isRefused = error instanceof DOMException && error.name === "NotAllowedError";
    throw error instanceof Trouble ? error : new Trouble(isRefused ? "refused" : "missing");
  }
}

const asProblem = (error: unknown) => (error instanceof Problem ? error : new Problem(0, String(error)));

/** Who wanted to listen hears the stream instead; who wanted to speak is told. */
function fail(error: unknown): void {
  const { call, supervisor, mode } = state;
  end("failed");
  if (error instanceof Trouble) state.trouble = error.kind;
  else state.problem = asProblem(error);
  if (call !== null && supervisor !== null) api.endSupervisor(call, supervisor).catch(() => {});
  const isRefused = state.problem !== null && [401, 403, 404, 409].includes(state.problem.status);
  if (call !== null && mode === "listen" && !isRefused) {
    state.fellBack = true;
    void listenTo(call);
  }
}

function end(as: TalkingState): void {
  attempts += 1;
  clearInterval(meter);
  connection?.close();
  connection = null;
  state.changing = false;
  Object.assign(state, { state: as, supervisor: null, heardDbov: FLOOR_DBOV, saidDbov: FLOOR_DBOV, reason: null });
  if (as === "silent") Object.assign(state, { call: null, problem: null, trouble: null });
}
