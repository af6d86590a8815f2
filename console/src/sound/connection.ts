// A connection to the server by WebRTC: the call's sound comes in, what the microphone hears may go out.

import type { IceServer } from "../api/shapes";
import { FLOOR_DBOV, levelDbov } from "./level";

/** How long addresses are looked for before the offer goes out with those that there are. */
const GATHER_MS = 2_000;
/** Samples that a level is measured over. */
const LEVEL_SAMPLES = 2_048;

export class Connection {
  private readonly peer: RTCPeerConnection;
  private readonly line: RTCRtpTransceiver;
  private readonly speaker = new Audio();
  private readonly context = new AudioContext();
  private readonly samples = new Float32Array(LEVEL_SAMPLES);
  private heard: AnalyserNode | null = null;
  private said: AnalyserNode | null = null;
  private microphone: MediaStreamTrack | null = null;

  /** `react` is told what becomes of the connection: whether it stands, or is lost. */
  constructor(servers: IceServer[], react: (stands: boolean) => void) {
    void this.context.resume();
    this.peer = new RTCPeerConnection({ iceServers: servers });
    // Both ways from the beginning, so that speaking later asks for no other offer; until then nothing is sent.
    this.line = this.peer.addTransceiver("audio", { direction: "sendrecv" });
    this.peer.ontrack = ({ track }) => {
      const stream = new MediaStream([track]);
      this.speaker.srcObject = stream;
      void this.speaker.play();
      this.heard = this.meter(stream);
    };
    this.peer.onconnectionstatechange = () => {
      const { connectionState } = this.peer;
      if (connectionState === "connected") react(true);
      if (connectionState === "failed" || connectionState === "closed") react(false);
    };
  }

  /** Our offer with the addresses that were found in time. */
  async offer(): Promise<string> {
    await this.peer.setLocalDescription();
    await Promise.race([this.gathered(), new Promise((done) => setTimeout(done, GATHER_MS))]);
    return this.peer.localDescription?.sdp ?? "";
  }

  async accept(answer: string): Promise<void> {
    await this.peer.setRemoteDescription({ type: "answer", sdp: answer });
  }

  /** Sends what the microphone hears from now on; the server decides who hears it. */
  async speak(microphone: MediaStreamTrack): Promise<void> {
    this.microphone?.stop();
    this.microphone = microphone;
    this.said = this.meter(new MediaStream([microphone]));
    await this.line.sender.replaceTrack(microphone);
  }

  /** Whether there is a microphone. */
  get speaks(): boolean {
    return this.microphone !== null;
  }

  /** Lets go of the microphone. */
  async fallSilent(): Promise<void> {
    this.microphone?.stop();
    this.microphone = null;
    this.said = null;
    await this.line.sender.replaceTrack(null);
  }

  /** A muted microphone sends silence. */
  mute(muted: boolean): void {
    if (this.microphone !== null) this.microphone.enabled = !muted;
  }

  setVolume(volume: number): void {
    this.speaker.volume = volume;
  }

  /** Levels of what is heard and of what is said, dBov. */
  levels(): [number, number] {
    return [this.level(this.heard), this.level(this.said)];
  }

  /** Silence at once, both ways. */
  close(): void {
    this.peer.onconnectionstatechange = null;
    this.microphone?.stop();
    this.speaker.srcObject = null;
    this.peer.close();
    void this.context.close();
  }

  private level(meter: AnalyserNode | null): number {
    if (meter === null) return FLOOR_DBOV;
    meter.getFloatTimeDomainData(this.samples);
    return levelDbov(this.samples);
  }

  private meter(stream: MediaStream): AnalyserNode {
    const meter = this.context.createAnalyser();
    meter.fftSize = LEVEL_SAMPLES;
    this.context.createMediaStreamSource(stream).connect(meter);
    return meter;
  }

  private gathered(): Promise<void> {
    return new Promise((done) => {
      const look = () => {
        if (this.peer.iceGatheringState === "complete") done();
      };
      this.peer.onicegatheringstatechange = look;
      look();
    });
  }
}
