// Who counts as being there, and who is signed out as idle.

import { beforeEach, expect, it, vi } from "vitest";

vi.useFakeTimers({ now: 1_700_000_000_000 });
vi.stubGlobal("addEventListener", () => {});
vi.stubGlobal(
  "BroadcastChannel",
  class {
    postMessage(): void {}
  },
);
const api = {
  session: vi.fn(async () => ({ user: "li", may: ["calls"], idle_s: 1_800 })),
  signOut: vi.fn(async () => null),
};
vi.doMock("../api/client", () => ({ api, whenSignedOut: () => {} }));
const talking = { state: "silent" };
const listening = { state: "silent" };
vi.doMock("../sound/talking", () => ({ talking }));
vi.doMock("../sound/listening", () => ({ listening }));
const { session, signIn, startSession } = await import("./session");
Object.assign(api, { signIn: api.session });
await startSession();

const MINUTE = 60_000;
beforeEach(async () => {
  Object.assign(talking, { state: "silent" });
  Object.assign(listening, { state: "silent" });
  await signIn("li", "a long password");
});

it("is over for whoever touches nothing and hears nothing", async () => {
  await vi.advanceTimersByTimeAsync(29 * MINUTE);
  expect(session.session?.user).toBe("li");
  await vi.advanceTimersByTimeAsync(2 * MINUTE);
  expect([session.session, session.reason, api.signOut.mock.calls.length]).toEqual([null, "idle", 1]);
});

it.each([
  ["takes part in a call", talking, "connected"],
  ["listens to one by the stream", listening, "playing"],
])("goes on for whoever %s, and the server hears of it", async (_, hears, state) => {
  hears.state = state;
  api.session.mockClear();
  await vi.advanceTimersByTimeAsync(60 * MINUTE);
  expect(session.session?.user).toBe("li");
  expect(api.session.mock.calls.length).toBeGreaterThan(50);
  hears.state = "ended";
  await vi.advanceTimersByTimeAsync(31 * MINUTE);
  expect(session.reason).toBe("idle");
});
