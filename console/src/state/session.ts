// Who is signed in, what they may do, and why they are not any more.

import { computed, reactive, readonly } from "vue";
import { api, whenSignedOut } from "../api/client";
import type { Permission, Session } from "../api/shapes";
import { listening } from "../sound/listening";
import { talking } from "../sound/talking";

/** Why the sign-in shows: `left` by the person, `idle`, `ended` by the server. */
export type OutReason = "left" | "idle" | "ended";

const state = reactive({
  /** False until the server has said whether somebody is signed in here. */
  known: false,
  session: null as Session | null,
  reason: null as OutReason | null,
});

export const session = readonly(state);
export const user = computed(() => state.session?.user ?? "");

export function may(permission: Permission): boolean {
  return state.session?.may.includes(permission) ?? false;
}

/** How often the server is told that the person is still there, and how often that is looked at. */
const SIGN_OF_LIFE_MS = 60_000;
const LOOK_MS = 5_000;

let active = Date.now();
let told = Date.now();
let shared = Date.now();

/** Other windows of this browser have the same session: who works in one is not idle in another. */
type Word = "active" | "out";
const others = new BroadcastChannel("calmline.session");
others.onmessage = ({ data }: MessageEvent<Word>) => {
  if (data === "active") stayActive();
  else dismiss("ended");
};

function accept(accepted: Session | null): void {
  active = Date.now();
  told = active;
  Object.assign(state, { session: accepted, known: true });
  if (accepted !== null) state.reason = null;
}

function dismiss(reason: OutReason): void {
  if (state.session !== null) Object.assign(state, { session: null, reason });
}

/** Asks the server once who we are, and follows whether the person is still there. */
export async function startSession(): Promise<void> {
  whenSignedOut(() => dismiss("ended"));
  for (const sign of ["pointerdown", "pointermove", "keydown", "wheel"]) {
    addEventListener(sign, stayActive, { passive: true });
  }
  setInterval(look, LOOK_MS);
  try {
    accept(await api.session());
  } catch {
    state.known = true;
  }
}

export async function signIn(name: string, password: string, code?: string): Promise<void> {
  accept(await api.signIn(name, password, code));
}

/** Other windows of this browser go on by the same new cookie. */
export async function changePassword(password: string, newPassword: string, code?: string): Promise<void> {
  accept(await api.changePassword(password, newPassword, code));
}

export async function signOut(reason: OutReason): Promise<void> {
  dismiss(reason);
  others.postMessage("out" satisfies Word);
  try {
    const provider = await api.signOut();
    // Whoever is only away stays signed in there.
    if (provider !== null && reason === "left") location.assign(provider);
  } catch {
    // The server cannot be reached; the session ends there by itself.
  }
}

/** Whether the server still knows us; asked when a connection ended that may have ended with the session. */
export async function checkSession(): Promise<void> {
  try {
    if ((await api.session()) === null) dismiss("ended");
  } catch {
    // The server cannot be reached, which says nothing of the session.
  }
}

/** Somebody is still there, whether or not anything is touched. */
export function stayActive(): void {
  active = Date.now();
}

function look(): void {
  if (state.session === null) return;
  const now = Date.now();
  // Whoever hears a call, or speaks in it, need not touch anything.
  if (talking.state === "connected" || listening.state === "playing") active = now;
  if (active > shared) {
    shared = active;
    others.postMessage("active" satisfies Word);
  }
  if (now - active > state.session.idle_s * 1_000) {
    void signOut("idle");
  } else if (active > told && now - told > SIGN_OF_LIFE_MS) {
    told = now;
    void checkSession();
  }
}
