// What the API takes and answers, by names of the console's. Made from the API's own description (`npm run api`); where that says
// no more than "text", the words that the server uses stand here.

import type { components } from "./openapi";

type Schemas = components["schemas"];
/** A shape with some fields known more closely. */
type Closer<Shape, Known> = Omit<Shape, keyof Known> & Known;

/** What somebody who is signed in may do. */
export type Permission = Schemas["Area"];
export type Party = Schemas["Party"];
/** Level of anger. */
export type Level = "low" | "medium" | "high";
export type Language = "zh" | "en";

export type Session = Schemas["Session"];
export type ProblemBody = Schemas["Problem"];
export type Fault = Schemas["Fault"];
export type WordFound = Schemas["WordFound"];
/** What a party's last words say; the text itself is not told. */
export type WordsRead = Schemas["WordsRead"];

/** A step of the emotion timeline: anger 0-1, its trend per second, F0 in Hz (0 unvoiced), level in dBov. */
export type Step = Closer<Schemas["Step"], { party: Party; level: Level }>;
export type Peak = Closer<Schemas["Peak"], { level: Level }>;
export type CallState = Schemas["CallState"];
export type Fork = Schemas["Fork"];
/** What was kept of a call's audio. */
export type Playback = Schemas["Playback"];

/** A call as a line of the list. */
export type Summary = Closer<Schemas["Summary"], { emotion: Step | null; peak: Peak | null }> & {
  /** The callee's, where the server lists it. */
  callee?: Step | null;
  /** What it is when it is forked to the server, where the server lists it. */
  fork?: Fork | null;
};
/** Which call it is, and how it stands. */
export type CallHead = Omit<Summary, "callee" | "fork" | "decisions" | "alerts">;
export type CallList = Closer<Schemas["CallList"], { calls: Summary[] }>;

export type Decision = Closer<
  Schemas["Decision"],
  { because: Closer<Schemas["Decision"]["because"], { level: Level }> }
>;
export type Prompt = Closer<Schemas["Prompt"], { party: Party }>;
export type Reroute = Schemas["Reroute"];
export type Alert = Closer<Schemas["Alert"], { severity: "info" | "warning" | "critical" }>;
export type Breached = Schemas["Breached"];

/** What was done about an alert last, and what can be. */
export type AlertHandled = Schemas["AlertHandled"];
/** How an alert became more urgent last, when nobody reacted. */
export type AlertEscalated = Schemas["EscalatedAlert"];
export type AlertLine = Closer<Schemas["AlertLine"], { severity: "info" | "warning" | "critical" }>;
export type AlertDeedWord = Schemas["AlertDeedWord"];
export type AlertOrder = Schemas["AlertRequest"];
export type Phrase = Closer<Schemas["Phrase"], { party: Party }>;
export type SupervisionMode = Schemas["SupervisionMode"];
export type Supervisor = Closer<
  Schemas["Supervisor"],
  { mode: SupervisionMode; party: Party | null; hears: Schemas["Hears"] }
>;
/** Servers that a browser finds its way by, as RTCPeerConnection takes them. */
export type IceServer = Schemas["IceServer"];
/** How browsers are connected. */
export type Ways = Schemas["Ways"];
export type AudioClient = Schemas["AudioClient"];
/** Mean opinions are 1-4.5, losses 0-1; what is unknown is absent. */
export type LegQuality = Schemas["LegQuality"];
export type Leg = Schemas["LegReport"];

/** An event of a call, without the number that only the stream knows. */
export interface CallEvent {
  time: string;
  call: string;
  call_ms: number;
  type: string;
  [field: string]: unknown;
}

/** A whole call; `events` holds everything but the timeline. */
export type Call = Closer<
  Schemas["Call"],
  {
    emotion: Step | null;
    peak: Peak | null;
    decisions: Decision[];
    prompts: Prompt[];
    alerts: Alert[];
    phrases?: Phrase[];
    supervisors: Supervisor[];
    timeline: Step[];
    events: CallEvent[];
  }
>;

/** Counts of times by their size; see `spreadAt`. */
export type Spread = Schemas["Spread"];
export type Figures = Schemas["Figures"];
export type Report = Schemas["Report"];

export type Readiness = Closer<
  Schemas["Readiness"],
  { status: "ready" | "degraded" | "draining" | "down"; components: Record<string, "up" | "down"> }
>;
/** How much the server has to do, and what its machine has left. */
export type Node = Schemas["Node"];
export type Reloaded = Schemas["Reloaded"];
/** What a system outside is still to be told of; set aside when `next` is nothing. */
export type WaitingDelivery = Schemas["WaitingDelivery"];
/** How it stands with business data that is pulled. */
export type DataSource = Schemas["Source"];
export type Backup = Schemas["Backup"];
export type Models = Schemas["Models"];

export type PolicyList = Schemas["PolicyList"];
export type PolicyLine = Schemas["PolicyLine"];
export type PolicyInForce = Schemas["PolicyInForce"];
/** What became of a file that was put in another's place. */
export type LibraryDone = Schemas["LibraryDone"];
export type Trial = Schemas["Trial"];
/** A file of a library: what it is, its version, and the one before. */
export type LibraryFile = Schemas["LibraryFile"];

export type MoveOrder = Schemas["MoveRequest"];

export type Role = Schemas["Role"];
/** Somebody who may sign in; `secrets` is shown once, where it was made just now. */
export type User = Schemas["User"];
export type NewUser = Schemas["NewUser"];
export type UserChange = Schemas["UserChange"];

export type AuditEntries = Schemas["AuditEntries"];
export type AuditLine = Schemas["AuditLine"];
/** What a look through the whole trail has found. */
export type Checking = Schemas["Checking"];

/** A call as whoever serves it sees it. */
export type OwnCall = Closer<
  Schemas["OwnCall"],
  { emotion?: (Omit<Schemas["OwnMood"], "level"> & { level: Level }) | null; alerts: Alert[] }
>;
export type KnowledgeFound = Schemas["KnowledgeFound"];
