// Whose microphone is open when: it is let go of with the call, with listening, and when it comes too late.

import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { api } from "../api/client";
import { Connection } from "./connection";
import { follow, leave, takePart, talking } from "./talking";

class Microphone {
  enabled = true;
  open = true;
  stop(): void {
    this.open = false;
  }
}

/** What the person before the browser answers its question for the microphone. */
let allow: (microphone: Microphone) => void;

beforeEach(async () => {
  vi.stubGlobal(
    "RTCPeerConnection",
    class {
      addTransceiver() {}
    },
  );
  vi.stubGlobal(
    "AudioContext",
    class {
      resume() {}
    },
  );
  vi.stubGlobal("Audio", class {});
  const asked = () =>
    new Promise((granted) => {
      allow = (microphone) => granted({ getAudioTracks: () => [microphone] });
    });
  vi.stubGlobal("navigator", { mediaDevices: { getUserMedia: asked } });
  let held: Microphone | null = null;
  const of = Connection.prototype;
  vi.spyOn(of, "offer").mockResolvedValue("offer");
  vi.spyOn(of, "accept").mockResolvedValue();
  vi.spyOn(of, "mute").mockReturnValue();
  vi.spyOn(of, "levels").mockReturnValue([0, 0]);
  vi.spyOn(of, "speaks", "get").mockImplementation(() => held !== null);
  vi.spyOn(of, "speak").mockImplementation(async (microphone) => {
    held = microphone as unknown as Microphone;
  });
  const letGo = () => {
    held?.stop();
    held = null;
  };
  vi.spyOn(of, "fallSilent").mockImplementation(async () => letGo());
  vi.spyOn(of, "close").mockImplementation(letGo);
  vi.spyOn(api, "webrtc").mockResolvedValue({ enabled: true, ice_servers: [] });
  vi.spyOn(api, "connect").mockResolvedValue({ supervisor: 1, answer: "answer" });
  vi.spyOn(api, "changeSupervisor").mockResolvedValue({ accepted: true });
  vi.spyOn(api, "endSupervisor").mockResolvedValue({ accepted: true });
  await takePart("call-1", "listen");
});

afterEach(() => {
  leave();
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
});

describe("the microphone", () => {
  it("is let go of when it comes after whoever asked has left", async () => {
    const microphone = new Microphone();
    const change = takePart("call-1", "whisper");
    leave();
    allow(microphone);
    await change;
    expect(microphone.open).toBe(false);
    expect(api.changeSupervisor).not.toHaveBeenCalled();
  });

  it("is asked for once, however often a mode is chosen meanwhile", async () => {
    const microphone = new Microphone();
    const change = takePart("call-1", "whisper");
    await takePart("call-1", "barge");
    expect(talking.changing).toBe(true);
    allow(microphone);
    await change;
    expect(vi.mocked(api.changeSupervisor).mock.calls).toEqual([["call-1", 1, { mode: "whisper", party: "callee" }]]);
    expect([talking.mode, talking.changing, microphone.open]).toEqual(["whisper", false, true]);
  });

  it("is let go of with listening, whoever wanted that", async () => {
    const microphone = new Microphone();
    const change = takePart("call-1", "barge");
    allow(microphone);
    await change;
    follow("whisper", "caller");
    expect([talking.mode, talking.party, microphone.open]).toEqual(["whisper", "caller", true]);
    follow("listen", null);
    expect([talking.mode, talking.party, microphone.open]).toEqual(["listen", null, false]);
  });

  it("is not opened by others", async () => {
    follow("barge", null);
    expect(talking.mode).toBe("barge");
    const microphone = new Microphone();
    const change = takePart("call-1", "barge");
    allow(microphone);
    await change;
    expect(microphone.open).toBe(true);
  });
});
