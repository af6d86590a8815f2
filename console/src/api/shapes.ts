// What the API answers, as `src/web` and `src/notice` of the server write it. Fields that may be absent are optional.

/** What somebody who is signed in may do. */
export type Permission = "calls" | "orders" | "audio" | "people" | "integration" | "knowledge" | "reports" | "audit" | "own" | "operate";
export type Party = "caller" | "callee";
/** Level of anger. */
export type Level = "low" | "medium" | "high";
export type Language = "zh" | "en";

export interface Session {
  user: string;
  role: string;
  may: Permission[];
  /** Seconds without a sign of the person after which the session ends. */
  idle_s: number;
}

export interface WordFound {
  word: string;
  category: string;
  negated?: boolean;
}

/** What a party's last words say; the text itself is not told. */
export interface WordsRead {
  audio_ms: number;
  until_ms: number;
  emotion: string;
  anger: number;
  confidence: number;
  reliability: number;
  source: string;
  found: WordFound[];
}

/** A step of the emotion timeline: anger 0-1, its trend per second, F0 in Hz (0 unvoiced), level in dBov. */
export interface Step {
  call_ms: number;
  party: Party;
  emotion: string;
  level: Level;
  anger: number;
  trend_per_s: number;
  pitch_hz: number;
  level_dbov: number;
  words?: WordsRead;
}

export interface Peak {
  call_ms: number | null;
  anger: number;
  level: Level;
}

export type CallState = "ringing" | "answered" | "ended";

/** Which call it is, and how it stands. */
export interface CallHead {
  id: string;
  state: CallState;
  from: string;
  to: string;
  route: string;
  scenario: string;
  started: string;
  answered: string | null;
  ended: string | null;
  target: string | null;
  /** The caller's latest step. */
  emotion: Step | null;
  peak: Peak | null;
  /** By what the customer writes, when it is a chat. */
  channel?: string;
}

/** A call as a line of the list. */
export interface Summary extends CallHead {
  /** The callee's, where the server lists it. */
  callee?: Step | null;
  /** What it is when it is forked to the server, where the server lists it. */
  fork?: Fork | null;
  decisions: number;
  alerts: number;
}

export interface CallList {
  active: number;
  calls: Summary[];
}

export interface Fork {
  source: string;
  pbx_call: string | null;
  paused: boolean;
}

export interface Decision {
  call_ms: number;
  rule: string;
  policy: string;
  because: {
    emotion: string;
    level: Level;
    score: number;
    lasted_ms: number;
    failure: string | null;
    interruptions?: number;
    said?: string;
    facts?: string[];
    group?: string;
  };
  actions: string[];
}

export interface Prompt {
  call_ms: number;
  prompt: number;
  file: string;
  party: Party;
  reaction_ms: number | null;
  outcome: "playing" | "completed" | "cut" | "failed";
  reason: string | null;
}

export interface Reroute {
  call_ms: number;
  via: string;
  target: string;
  outcome: "trying" | "done" | "failed";
  answer_ms: number | null;
  gap_ms: number | null;
  reason: string | null;
}

export interface Alert {
  call_ms: number;
  severity: "info" | "warning" | "critical";
  text: string;
  rule: string;
}

export interface Phrase {
  call_ms: number;
  party: Party;
  intent: string;
  text: string;
  audio_ms: number;
  until_ms: number;
  confidence: number;
}

export type SupervisionMode = "listen" | "whisper" | "barge";

export interface Supervisor {
  supervisor: number;
  call_ms: number;
  target: string;
  mode: SupervisionMode;
  party: Party | null;
  hears: "both" | Party;
  state: "calling" | "joined" | "left" | "failed";
  answer_ms: number | null;
  reason: string | null;
}

/** Servers that a browser finds its way by, as RTCPeerConnection takes them. */
export interface IceServer {
  urls: string[];
  username?: string;
  credential?: string;
}

/** How browsers are connected. */
export interface Ways {
  enabled: boolean;
  ice_servers: IceServer[];
}

export interface AudioClient {
  client: number;
  call_ms: number;
  layout: string;
  missed_ms: number;
  lasted_ms: number | null;
}

/** Mean opinions are 1-4.5, losses 0-1; what is unknown is absent. */
export interface LegQuality {
  mos_listening?: number;
  mos_conversational?: number;
  mos_reported?: number;
  r_factor?: number;
  round_trip_ms?: number;
  delay_ms?: number;
  jitter_received_ms?: number;
  jitter_reported_ms?: number;
  loss_received?: number;
  loss_reported?: number;
  discarded_received?: number;
  burst_ratio?: number;
}

export interface Leg {
  party: string;
  name: string;
  codec: string;
  packets_received: number;
  packets_sent: number;
  packets_lost: number;
  quality: LegQuality;
}

/** A whole call; `events` holds everything but the timeline. */
export interface Call extends CallHead {
  fork?: Fork;
  /** Whether the caller consents to words being kept: `given`, `refused`, `open`; absent where nobody asks. */
  consent?: string;
  setup_ms: number | null;
  talk_ms: number | null;
  end_reason: string | null;
  decisions: Decision[];
  prompts: Prompt[];
  reroutes: Reroute[];
  alerts: Alert[];
  phrases?: Phrase[];
  supervisors: Supervisor[];
  audio: AudioClient[];
  legs: Leg[];
  bypassed: boolean;
  packets_lost: number | null;
  timeline: Step[];
  events: CallEvent[];
}

/** An event of a call, without the number that only the stream knows. */
export interface CallEvent {
  time: string;
  call: string;
  call_ms: number;
  type: string;
  [field: string]: unknown;
}

/** Counts of times by their size; see `spreadAt`. */
export type Spread = Record<string, number>;

export interface Figures {
  calls: number;
  answered: number;
  talk_ms: number;
  low: number;
  medium: number;
  high: number;
  acted: number;
  acted_calmed: number;
  left: number;
  left_calmed: number;
  moved: number;
  move_failed: number;
  alerts: number;
  supervised: number;
  setup: Spread;
  until_high: Spread;
  reaction: Spread;
}

export interface Report {
  from: string;
  to: string;
  zone: string;
  total: Figures;
  by_hour: Record<string, Figures>;
  by_route: Record<string, Figures>;
  by_scenario: Record<string, Figures>;
  by_target: Record<string, Figures>;
  by_group: Record<string, Figures>;
  rules: Record<string, number>;
  said: Record<string, number>;
}

export interface Readiness {
  status: "ready" | "degraded" | "draining" | "down";
  components: Record<string, "up" | "down">;
  trunks?: Record<string, string>;
}

export interface Fault {
  file: string;
  key: string;
  found: string;
  expected: string;
}

export interface Reloaded {
  policies: string[];
  needs_restart: string[];
}

export type Backup =
  | { state: "none" }
  | { state: "running"; folder: string }
  | { state: "done"; folder: string; files: number; bytes: number }
  | { state: "failed"; why: string };
