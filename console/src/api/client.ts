// The API over HTTP: one function per request, and errors as the server tells them (RFC 9457).

import type {
  AuditEntries,
  Backup,
  Call,
  CallList,
  Checking,
  Fault,
  KnowledgeFound,
  Language,
  LibraryDone,
  LibraryFile,
  Models,
  MoveOrder,
  NewUser,
  Party,
  PolicyInForce,
  PolicyList,
  ProblemBody,
  Readiness,
  Reloaded,
  Report,
  Session,
  SupervisionMode,
  Targets,
  Trial,
  User,
  UserChange,
  Ways,
} from "./shapes";

/** A request that was refused, or brought no answer (`status` 0). */
export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly detail: string,
    readonly faults: Fault[] = [],
    /** Seconds after which it may be tried again, where the server says so. */
    readonly retryAfterS: number | null = null,
    /** What is missing that only the person has: `code`, at a sign-in. */
    readonly needs: string | null = null,
  ) {
    super(detail);
    this.name = "Problem";
  }
}

/** Called when the server no longer knows who we are. */
let onSignedOut: () => void = () => {};

export function whenSignedOut(react: () => void): void {
  onSignedOut = react;
}

type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";

async function send(
  method: Method,
  path: string,
  body?: unknown,
  signal?: AbortSignal,
  kind = "application/json",
  conditions: Record<string, string> = {},
): Promise<Response> {
  const headers: Record<string, string> = { ...conditions };
  // Pages of others cannot send this header: what is ordered was ordered here.
  if (method !== "GET") headers["x-calmline-console"] = "1";
  if (body !== undefined) headers["content-type"] = kind;
  const init: RequestInit = { method, headers, credentials: "same-origin", cache: "no-store" };
  if (body !== undefined) init.body = typeof body === "string" ? body : JSON.stringify(body);
  if (signal !== undefined) init.signal = signal;
  try {
    return await fetch(path, init);
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new Problem(0, "");
  }
}

async function problemOf(response: Response): Promise<Problem> {
  const retry = Number.parseInt(response.headers.get("retry-after") ?? "", 10);
  const retryAfterS = Number.isNaN(retry) ? null : retry;
  try {
    const { detail, faults, needs } = (await response.json()) as Partial<ProblemBody>;
    return new Problem(response.status, detail ?? response.statusText, faults ?? [], retryAfterS, needs ?? null);
  } catch {
    return new Problem(response.status, response.statusText, [], retryAfterS);
  }
}

async function checked(response: Response): Promise<Response> {
  if (response.ok) return response;
  if (response.status === 401) onSignedOut();
  throw await problemOf(response);
}

async function ask<T>(method: Method, path: string, body?: unknown, signal?: AbortSignal): Promise<T> {
  const response = await checked(await send(method, path, body, signal));
  return (response.status === 204 ? undefined : await response.json()) as T;
}

const ofLibrary = (kind: string, name: string) =>
  `/v1/libraries/${encodeURIComponent(kind)}/${encodeURIComponent(name)}`;
const ofUser = (name: string, rest = "") => `/v1/users/${encodeURIComponent(name)}${rest}`;

/** What only counts while the server has what is known by `etag`, or nothing where that is null. */
const whileIt = (etag: string | null): Record<string, string> =>
  etag === null ? { "if-none-match": "*" } : { "if-match": etag };

/** A query of what is named in it. */
function queryOf(wanted: Record<string, string | number | undefined>): string {
  const named = Object.entries(wanted).filter(([, value]) => value !== undefined && value !== "");
  return String(new URLSearchParams(named.map(([key, value]) => [key, String(value)])));
}

/** What there is none of is no problem to some. */
function noneOf404(error: unknown): null {
  if (error instanceof Problem && error.status === 404) return null;
  throw error;
}

const ofCall = (call: string, rest = "") => `/v1/calls/${encodeURIComponent(call)}${rest}`;

/** What is asked of the list of calls; `before` goes on where a list ended. */
export interface CallsQuery {
  state: "active" | "ended";
  limit: number;
  before?: string;
}

export interface SupervisorOrder {
  target: string;
  mode: SupervisionMode;
  party?: Party;
}

export interface SayOrder {
  text: string;
  language: Language;
  party: Party;
  mode: "duck" | "replace";
}

/** What is looked for in the audit trail; `below` goes on where a list ended. */
export interface AuditQuery {
  who?: string;
  kind?: string;
  call?: string;
  from?: string;
  before?: string;
  below?: number;
}

/** The period of a report, by a day in it. */
export interface ReportQuery {
  date: string;
  period: "day" | "week" | "month";
}
export const REPORT_FORMATS = ["pdf", "xlsx", "csv", "html", "json"] as const;

/** Where a report lies as a file. */
export const reportAddress = ({ date, period }: ReportQuery, format: string, language: Language) =>
  `/v1/reports/${encodeURIComponent(date)}?${queryOf({ period, format, language })}`;

export const api = {
  /** Who is signed in here, if anybody. Being nobody is no reason to be sent to the sign-in with a word of regret. */
  async session(): Promise<Session | null> {
    const response = await send("GET", "/v1/session");
    if (response.status === 401) return null;
    return (await (await checked(response)).json()) as Session;
  },
  async signIn(user: string, password: string, code?: string): Promise<Session> {
    const response = await send("POST", "/v1/session", { user, password, code });
    if (!response.ok) throw await problemOf(response);
    return (await response.json()) as Session;
  },
  async signOut(): Promise<void> {
    await send("DELETE", "/v1/session");
  },
  calls({ state, limit, before }: CallsQuery): Promise<CallList> {
    const query = new URLSearchParams({ state, limit: String(limit), ...(before === undefined ? {} : { before }) });
    return ask("GET", `/v1/calls?${query}`);
  },
  call: (id: string): Promise<Call> => ask("GET", ofCall(id)),
  hangUp: (id: string): Promise<unknown> => ask("POST", ofCall(id, "/hangup")),
  bypass: (id: string): Promise<unknown> => ask("POST", ofCall(id, "/bypass")),
  endBypass: (id: string): Promise<unknown> => ask("DELETE", ofCall(id, "/bypass")),
  supervise: (id: string, order: SupervisorOrder): Promise<{ supervisor: number }> =>
    ask("POST", ofCall(id, "/supervisors"), order),
  changeSupervisor: (id: string, supervisor: number, order: { mode: SupervisionMode; party?: Party }) =>
    ask<unknown>("PATCH", ofCall(id, `/supervisors/${supervisor}`), order),
  endSupervisor: (id: string, supervisor: number): Promise<unknown> =>
    ask("DELETE", ofCall(id, `/supervisors/${supervisor}`)),
  say: (id: string, { text, language, party, mode }: SayOrder): Promise<{ prompt: number }> =>
    ask("POST", ofCall(id, "/prompts"), { say: { text, language }, party, mode }),
  stopPrompt: (id: string, prompt: number): Promise<unknown> => ask("DELETE", ofCall(id, `/prompts/${prompt}`)),
  /** By which servers a browser finds its way, and whether browsers are connected at all. */
  webrtc: (): Promise<Ways> => ask("GET", "/v1/webrtc"),
  /** Connects this browser to a call: an offer for an answer (RFC 9725). A whisper is for the callee. */
  async connect(id: string, mode: SupervisionMode, offer: string): Promise<{ supervisor: number; answer: string }> {
    const path = ofCall(id, `/webrtc?mode=${mode}`);
    const response = await checked(await send("POST", path, offer, undefined, "application/sdp"));
    const supervisor = Number(response.headers.get("location")?.split("/").at(-1));
    return { supervisor, answer: await response.text() };
  },
  /** Live audio: an endless WAV, the caller on the left. */
  async audio(id: string, signal: AbortSignal): Promise<ReadableStream<Uint8Array>> {
    const response = await checked(await send("GET", ofCall(id, "/audio?layout=stereo"), undefined, signal));
    if (response.body === null) throw new Problem(response.status, "no audio");
    return response.body;
  },
  /** Where callers can be moved, by name. */
  targets: async (): Promise<string[]> => (await ask<Targets>("GET", "/v1/targets")).targets,
  move: (id: string, order: MoveOrder): Promise<unknown> => ask("POST", ofCall(id, "/move"), order),
  report: ({ date, period }: ReportQuery): Promise<Report> =>
    ask("GET", `/v1/reports/${encodeURIComponent(date)}?${queryOf({ period })}`),
  knowledge: async (q: string, language: Language): Promise<KnowledgeFound[]> =>
    (await ask<{ found: KnowledgeFound[] }>("GET", `/v1/knowledge?${queryOf({ q, lang: language, limit: 5 })}`)).found,
  audit: (query: AuditQuery): Promise<AuditEntries> => ask("GET", `/v1/audit?${queryOf({ ...query, limit: 100 })}`),
  auditChecked: (): Promise<Checking> => ask("GET", "/v1/audit/verify"),
  checkAudit: (): Promise<Checking> => ask("POST", "/v1/audit/verify"),
  users: async (): Promise<User[]> => (await ask<{ users: User[] }>("GET", "/v1/users")).users,
  /** Somebody as they are kept, and what they are known by. */
  async user(name: string): Promise<{ user: User; etag: string }> {
    const response = await checked(await send("GET", ofUser(name)));
    return { user: (await response.json()) as User, etag: response.headers.get("etag") ?? "" };
  },
  createUser: (user: NewUser): Promise<User> => ask("POST", "/v1/users", user),
  renewPassword: (name: string): Promise<User> => ask("POST", ofUser(name, "/password")),
  renewSecondFactor: (name: string): Promise<User> => ask("POST", ofUser(name, "/totp")),
  removeSecondFactor: (name: string): Promise<User> => ask("DELETE", ofUser(name, "/totp")),
  /** Changes somebody who is still as this page shows them. */
  async changeUser(name: string, change: UserChange, etag: string): Promise<User> {
    const response = await send("PATCH", ofUser(name), change, undefined, "application/json", whileIt(etag));
    return (await (await checked(response)).json()) as User;
  },
  async removeUser(name: string, etag: string): Promise<void> {
    await checked(await send("DELETE", ofUser(name), undefined, undefined, undefined, whileIt(etag)));
  },
  /** Open to everybody; what is not ready answers 503 with the same body. */
  async readiness(): Promise<Readiness> {
    const response = await send("GET", "/readyz");
    if (!response.ok && response.status !== 503) throw await problemOf(response);
    return (await response.json()) as Readiness;
  },
  reload: (): Promise<Reloaded> => ask("POST", "/v1/reload"),
  policiesBack: (): Promise<unknown> => ask("POST", "/v1/policies/back"),
  models: (): Promise<Models> => ask("GET", "/v1/models"),
  policies: (): Promise<PolicyList> => ask("GET", "/v1/policies"),
  /** What is in force of a policy's file; `null` when nothing is. */
  policyInForce: (name: string): Promise<PolicyInForce | null> =>
    ask<PolicyInForce>("GET", `/v1/policies/${encodeURIComponent(name)}`).catch(noneOf404),
  tryPolicy: (name: string, text: string): Promise<Trial> =>
    ask("POST", `/v1/policies/${encodeURIComponent(name)}/try`, { text }),
  libraries: async (): Promise<LibraryFile[]> =>
    (await ask<{ libraries: LibraryFile[] }>("GET", "/v1/libraries")).libraries,
  /** A file of a library, and what it is known by; `null` when there is none. */
  async libraryFile(kind: string, name: string): Promise<{ text: string; etag: string } | null> {
    const response = await send("GET", ofLibrary(kind, name));
    if (response.status === 404) return null;
    await checked(response);
    return { text: await response.text(), etag: response.headers.get("etag") ?? "" };
  },
  async checkLibrary(kind: string, name: string, text: string): Promise<void> {
    await checked(await send("PUT", `${ofLibrary(kind, name)}?check=true`, text, undefined, "application/toml"));
  },
  /** Puts a text in a file's place, when that is still the one that is known. */
  async writeLibrary(kind: string, name: string, text: string, etag: string | null): Promise<LibraryDone> {
    const response = await send("PUT", ofLibrary(kind, name), text, undefined, "application/toml", whileIt(etag));
    return (await (await checked(response)).json()) as LibraryDone;
  },
  /** Puts the version before in a file's place. */
  async libraryBack(kind: string, name: string, etag: string): Promise<LibraryDone> {
    const path = `${ofLibrary(kind, name)}/back`;
    const response = await send("POST", path, undefined, undefined, undefined, whileIt(etag));
    return (await (await checked(response)).json()) as LibraryDone;
  },
  drain: (): Promise<unknown> => ask("POST", "/v1/drain"),
  backup: (): Promise<Backup> => ask("GET", "/v1/backup"),
  beginBackup: (): Promise<Backup> => ask("POST", "/v1/backup"),
};
