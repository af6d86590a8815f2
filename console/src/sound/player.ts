// Plays pieces of two channels one after another without a gap, some way behind the network, and measures what is heard.

import { FLOOR_DBOV, levelDbov } from "./level";
import type { StereoPiece } from "./wav";

/** How far playing stays behind what has come. */
const BUFFER_S = 0.4;
/** What would wait longer is left out: who listens wants to hear the call as it is now. */
const BUFFER_S_MAX = 1.2;
/** Samples that a level is measured over: 64 ms at 8 kHz. */
const LEVEL_SAMPLES = 512;

/** One side of the call: what it plays through, and what measures it. */
interface Side {
  volume: GainNode;
  meter: AnalyserNode;
  samples: Float32Array<ArrayBuffer>;
}

export class Player {
  private readonly context: AudioContext;
  private readonly entry: ChannelSplitterNode;
  private readonly sides: readonly [Side, Side];
  private until = 0;

  /** `rateHz` of the context is that of the audio: pieces then join sample by sample, and nothing clicks. */
  constructor(private readonly rateHz: number) {
    this.context = new AudioContext({ sampleRate: rateHz, latencyHint: "interactive" });
    void this.context.resume();
    this.entry = this.context.createChannelSplitter(2);
    const exit = this.context.createChannelMerger(2);
    exit.connect(this.context.destination);
    const side = (channel: number): Side => {
      const volume = this.context.createGain();
      const meter = this.context.createAnalyser();
      meter.fftSize = LEVEL_SAMPLES;
      this.entry.connect(meter, channel);
      this.entry.connect(volume, channel);
      volume.connect(exit, 0, channel);
      return { volume, meter, samples: new Float32Array(LEVEL_SAMPLES) };
    };
    this.sides = [side(0), side(1)];
  }

  /** Plays a piece after those before it. */
  play({ left, right }: StereoPiece): void {
    if (left.length === 0) return;
    const now = this.context.currentTime;
    if (this.until < now) this.until = now + BUFFER_S;
    if (this.until > now + BUFFER_S_MAX) return;
    const buffer = this.context.createBuffer(2, left.length, this.rateHz);
    buffer.copyToChannel(left, 0);
    buffer.copyToChannel(right, 1);
    const source = this.context.createBufferSource();
    source.buffer = buffer;
    source.connect(this.entry);
    source.start(this.until);
    this.until += left.length / this.rateHz;
  }

  /** Volumes of the left and the right side, 0-1. */
  setVolumes(left: number, right: number): void {
    this.sides[0].volume.gain.value = left;
    this.sides[1].volume.gain.value = right;
  }

  /** Levels of what is being played, before the volumes, dBov. */
  levels(): [number, number] {
    if (this.context.state !== "running") return [FLOOR_DBOV, FLOOR_DBOV];
    const level = ({ meter, samples }: Side) => {
      meter.getFloatTimeDomainData(samples);
      return levelDbov(samples);
    };
    return [level(this.sides[0]), level(this.sides[1])];
  }

  /** Silence at once. */
  close(): void {
    void this.context.close();
  }
}
