// What the console asks of the API: one function per request.

import { answered, answerOf, http, noneOf404, Problem, problemOf, told } from "./http";
import type {
  AlertLine,
  AlertOrder,
  AuditEntries,
  Backup,
  Call,
  CallList,
  Checking,
  DataSource,
  KnowledgeFound,
  Language,
  LibraryDone,
  LibraryFile,
  Models,
  MoveOrder,
  NewUser,
  Node,
  Party,
  Playback,
  PolicyInForce,
  PolicyList,
  Readiness,
  Reloaded,
  Report,
  Session,
  SupervisionMode,
  Trial,
  User,
  UserChange,
  WaitingDelivery,
  Ways,
} from "./shapes";

export { Problem, whenSignedOut } from "./http";

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
/** Entries of the audit trail asked for at a time. */
const AUDIT_PAGE = 100;
/** Alerts asked for at a time. */
const ALERTS_PAGE = 500;
/** Answers of the library to one question. */
const ANSWERS_MAX = 5;

/** The period of a report, by a day in it. */
export interface ReportQuery {
  date: string;
  period: "day" | "week" | "month";
}
export const REPORT_FORMATS = ["pdf", "xlsx", "csv", "html", "json"] as const;

/** Where a report lies as a file. */
export function reportAddress({ date, period }: ReportQuery, format: string, language: Language): string {
  return `/v1/reports/${encodeURIComponent(date)}?${new URLSearchParams({ period, format, language })}`;
}

/** A file of a library, or a user, with what it is known by. */
export interface Known<T> {
  is: T;
  etag: string;
}

const ofCall = (id: string) => ({ params: { path: { id } } });
const ofUser = (name: string) => ({ params: { path: { name } } });
const toml = { "content-type": "application/toml" };

/** What only counts while the server has what is known by `etag`, or nothing where that is null. */
const whileIt = (etag: string | null) => (etag === null ? { "if-none-match": "*" } : { "if-match": etag });

const known = async <T>(asked: Promise<{ data: T; headers: Headers }>): Promise<Known<T>> => {
  const { data, headers } = await asked;
  return { is: data, etag: headers.get("etag") ?? "" };
};

/** A page of a list, and what the next one goes on by. */
interface Page<T, K> {
  lines: T[];
  next?: K | undefined;
}

/** All pages of a list. */
async function pages<T, K>(read: (after?: K) => Promise<Page<T, K>>): Promise<T[]> {
  const lines: T[] = [];
  let page = await read();
  lines.push(...page.lines);
  while (page.next !== undefined) {
    page = await read(page.next);
    lines.push(...page.lines);
  }
  return lines;
}

export const api = {
  /** Who is signed in here, if anybody. Being nobody is no reason to be sent to the sign-in with a word of regret. */
  async session(): Promise<Session | null> {
    const { data, error, response } = await answerOf(http.GET("/v1/session"));
    if (response.status === 401) return null;
    if (data === undefined) throw problemOf(response, error);
    return data;
  },
  async signIn(user: string, password: string, code?: string): Promise<Session> {
    const body = { user, password, ...(code !== undefined && { code }) };
    const { data, error, response } = await answerOf(http.POST("/v1/session", { body }));
    if (data === undefined) throw problemOf(response, error);
    return data;
  },
  /** Gives whoever is signed in another password: what they may do now. */
  async changePassword(password: string, newPassword: string, code?: string): Promise<Session> {
    const body = { password, new_password: newPassword, ...(code !== undefined && { code }) };
    const { data, error, response } = await answerOf(http.POST("/v1/me/password", { body }));
    if (data === undefined) throw problemOf(response, error);
    return data;
  },
  /** Signs out; where a browser goes to sign out of the provider, too, by which it had signed in. */
  signOut: async (): Promise<string | null> => {
    const out = (await told(http.DELETE("/v1/session"))) as { provider?: string } | undefined;
    return out?.provider ?? null;
  },
  /** Where people can sign in besides: the provider's host, when there is one. */
  async provider(): Promise<string | null> {
    const { oidc } = await told(http.GET("/v1/session/ways"));
    return oidc === undefined ? null : new URL(oidc).host;
  },
  calls: (query: CallsQuery) => told(http.GET("/v1/calls", { params: { query } })) as Promise<CallList>,
  call: (id: string) => told(http.GET("/v1/calls/{id}", ofCall(id))) as Promise<Call>,
  hangUp: (id: string) => told(http.POST("/v1/calls/{id}/hangup", ofCall(id))),
  bypass: (id: string) => told(http.POST("/v1/calls/{id}/bypass", ofCall(id))),
  endBypass: (id: string) => told(http.DELETE("/v1/calls/{id}/bypass", ofCall(id))),
  /** Alerts that nobody has reacted to, and those of calls that are up or ended lately, newest first; some stand twice. */
  alerts: async (): Promise<AlertLine[]> => {
    const read = async (state: "open" | "all") =>
      (await told(http.GET("/v1/alerts", { params: { query: { state, limit: ALERTS_PAGE } } }))).alerts as AlertLine[];
    const both = [...(await read("open")), ...(await read("all"))];
    return both.sort((one, other) => Date.parse(other.raised) - Date.parse(one.raised));
  },
  /** Who can be given an alert of a call. */
  assignees: async (id: string): Promise<string[]> =>
    (await told(http.GET("/v1/calls/{id}/assignees", ofCall(id)))).users,
  handleAlert: (id: string, body: AlertOrder) => told(http.POST("/v1/calls/{id}/alerts", { ...ofCall(id), body })),
  move: (id: string, body: MoveOrder) => told(http.POST("/v1/calls/{id}/move", { ...ofCall(id), body })),
  /** The caller's place in queues from now on; that of targets again for `null`. */
  prioritise: (id: string, queue_priority: number | null) =>
    told(http.PUT("/v1/calls/{id}/priority", { ...ofCall(id), body: { queue_priority } })),
  supervise: (id: string, body: SupervisorOrder) =>
    told(http.POST("/v1/calls/{id}/supervisors", { ...ofCall(id), body })),
  changeSupervisor: (id: string, supervisor: number, body: { mode: SupervisionMode; party?: Party }) => {
    const params = { path: { id, supervisor } };
    return told(http.PATCH("/v1/calls/{id}/supervisors/{supervisor}", { params, body }));
  },
  endSupervisor: (id: string, supervisor: number) =>
    told(http.DELETE("/v1/calls/{id}/supervisors/{supervisor}", { params: { path: { id, supervisor } } })),
  say: (id: string, { text, language, party, mode }: SayOrder) => {
    const body = { say: { text, language }, party, mode };
    return told(http.POST("/v1/calls/{id}/prompts", { ...ofCall(id), body }));
  },
  stopPrompt: (id: string, prompt: number) =>
    told(http.DELETE("/v1/calls/{id}/prompts/{prompt}", { params: { path: { id, prompt } } })),
  /** Where callers can be moved, by name. */
  targets: async (): Promise<string[]> => (await told(http.GET("/v1/targets"))).targets,
  /** By which servers a browser finds its way, and whether browsers are connected at all. */
  webrtc: (): Promise<Ways> => told(http.GET("/v1/webrtc")),
  /** Connects this browser to a call: an offer for an answer (RFC 9725). A whisper is for the callee. */
  async connect(id: string, mode: SupervisionMode, offer: string): Promise<{ supervisor: number; answer: string }> {
    const params = { path: { id }, query: { mode } };
    const headers = { "content-type": "application/sdp" };
    const asked = http.POST("/v1/calls/{id}/webrtc", { params, headers, body: offer, parseAs: "text" });
    const { data: answer, headers: told } = await answered(asked);
    return { supervisor: Number(told.get("location")?.split("/").at(-1)), answer };
  },
  /** Live audio: an endless WAV, the caller on the left. */
  async audio(id: string, signal: AbortSignal): Promise<ReadableStream<Uint8Array>> {
    const params = { path: { id }, query: { layout: "stereo" as const } };
    const stream = await told(http.GET("/v1/calls/{id}/audio", { params, signal, parseAs: "stream" }));
    if (stream === null || stream === undefined) throw new Problem(200, "no audio");
    return stream;
  },
  /** What was kept of a call's audio. */
  playback: (id: string): Promise<Playback> => told(http.GET("/v1/calls/{id}/playback", ofCall(id))),
  report: ({ date, period }: ReportQuery): Promise<Report> =>
    told(http.GET("/v1/reports/{date}", { params: { path: { date }, query: { period } } })),
  async knowledge(q: string, lang: Language): Promise<KnowledgeFound[]> {
    const answer = await told(http.GET("/v1/knowledge", { params: { query: { q, lang, limit: ANSWERS_MAX } } }));
    return "found" in answer ? answer.found : [];
  },
  audit(query: AuditQuery): Promise<AuditEntries> {
    const named = Object.fromEntries(Object.entries(query).filter(([, value]) => value !== "" && value !== undefined));
    return told(http.GET("/v1/audit", { params: { query: { ...named, limit: AUDIT_PAGE } } }));
  },
  auditChecked: (): Promise<Checking> => told(http.GET("/v1/audit/verify")),
  checkAudit: (): Promise<Checking> => told(http.POST("/v1/audit/verify")),
  users: (): Promise<User[]> =>
    pages(async (after?: string) => {
      const { users, next } = await told(http.GET("/v1/users", { params: { query: { ...(after && { after }) } } }));
      return { lines: users, next };
    }),
  user: (name: string): Promise<Known<User>> => known(answered(http.GET("/v1/users/{name}", ofUser(name)))),
  createUser: (body: NewUser): Promise<User> => told(http.POST("/v1/users", { body })),
  renewPassword: (name: string): Promise<User> => told(http.POST("/v1/users/{name}/password", ofUser(name))),
  renewSecondFactor: (name: string): Promise<User> => told(http.POST("/v1/users/{name}/totp", ofUser(name))),
  removeSecondFactor: (name: string): Promise<User> => told(http.DELETE("/v1/users/{name}/totp", ofUser(name))),
  /** Changes somebody who is still as this page shows them. */
  changeUser: (name: string, body: UserChange, etag: string): Promise<User> =>
    told(http.PATCH("/v1/users/{name}", { params: { path: { name }, header: whileIt(etag) }, body })),
  removeUser: (name: string, etag: string) =>
    told(http.DELETE("/v1/users/{name}", { params: { path: { name }, header: whileIt(etag) } })),
  /** Open to everybody; what is not ready answers 503 with the same body. */
  async readiness(): Promise<Readiness> {
    const { data, error, response } = await answerOf(http.GET("/readyz"));
    if (!response.ok && response.status !== 503) throw problemOf(response, error);
    return (data ?? error) as Readiness;
  },
  node: (): Promise<Node> => told(http.GET("/v1/node")),
  reload: (): Promise<Reloaded> => told(http.POST("/v1/reload")),
  policiesBack: () => told(http.POST("/v1/policies/back")),
  models: (): Promise<Models> => told(http.GET("/v1/models")),
  policies: (): Promise<PolicyList> => told(http.GET("/v1/policies")),
  /** What is in force of a policy's file; `null` when nothing is. */
  policyInForce: (name: string): Promise<PolicyInForce | null> =>
    told(http.GET("/v1/policies/{name}", { params: { path: { name } } })).catch(noneOf404),
  tryPolicy: (name: string, text: string): Promise<Trial> =>
    told(http.POST("/v1/policies/{name}/try", { params: { path: { name } }, body: { text } })),
  libraries: async (): Promise<LibraryFile[]> => (await told(http.GET("/v1/libraries"))).libraries,
  /** A file of a library, and what it is known by; `null` when there is none. */
  libraryFile: (kind: string, name: string): Promise<Known<string> | null> =>
    known(
      answered(http.GET("/v1/libraries/{kind}/{name}", { params: { path: { kind, name } }, parseAs: "text" })),
    ).catch(noneOf404),
  checkLibrary(kind: string, name: string, body: string): Promise<LibraryDone> {
    const params = { path: { kind, name }, query: { check: true } };
    return told(http.PUT("/v1/libraries/{kind}/{name}", { params, headers: toml, body }));
  },
  /** Puts a text in a file's place, when that is still the one that is known. */
  writeLibrary(kind: string, name: string, body: string, etag: string | null): Promise<LibraryDone> {
    const params = { path: { kind, name }, header: whileIt(etag) };
    return told(http.PUT("/v1/libraries/{kind}/{name}", { params, headers: toml, body }));
  },
  /** Puts the version before in a file's place. */
  libraryBack(kind: string, name: string, etag: string): Promise<LibraryDone> {
    const params = { path: { kind, name }, header: whileIt(etag) };
    return told(http.POST("/v1/libraries/{kind}/{name}/back", { params }));
  },
  /** What systems outside are still to be told of; `null` where no calls are kept, so that nobody is told. */
  deliveries: (): Promise<WaitingDelivery[] | null> =>
    pages(async (after?: number) => {
      const query = after === undefined ? {} : { after };
      const { deliveries, next } = await told(http.GET("/v1/deliveries", { params: { query } }));
      return { lines: deliveries, next };
    }).catch(noneOf404),
  retryDelivery: (id: number) => told(http.POST("/v1/deliveries/{id}/retry", { params: { path: { id } } })),
  dropDelivery: (id: number) => told(http.DELETE("/v1/deliveries/{id}", { params: { path: { id } } })),
  sources: async (): Promise<DataSource[]> => (await told(http.GET("/v1/sources"))).sources,
  drain: () => told(http.POST("/v1/drain")),
  backup: (): Promise<Backup> => told(http.GET("/v1/backup")),
  beginBackup: (): Promise<Backup> => told(http.POST("/v1/backup")),
};
