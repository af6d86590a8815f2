// What happened in a call, as sentences. Pure: texts and events in, sentences out.

import type { CallEvent, Decision, Party, Step, SupervisionMode } from "../api/shapes";
import type { AlertState } from "../state/alerts";
import { percent, seconds } from "./format";
import type { Texts } from "./zh";

/** Of which kind a sentence is: for its mark in the list and in the chart. */
export type Kind = "decision" | "prompt" | "move" | "alert" | "words" | "supervisor" | "other";

export interface Sentence {
  kind: Kind;
  text: string;
  /** It tells of something that went wrong. */
  failed?: boolean;
}

/** A rule's action as the server words it, e.g. `reroute bridge human`. */
export function actionText(t: Texts, action: string): string {
  const a = t.sentences.actions;
  const [verb = "", ...rest] = action.split(" ");
  const what = rest.join(" ");
  if (action === "secure input on") return a.secureOn;
  if (action === "secure input off") return a.secureOff;
  switch (verb) {
    case "prompt":
      return a.prompt(what);
    case "say:":
      return a.say(what);
    case "say":
      return a.script(rest.slice(1).join(" "));
    case "serve":
      return what === "as usual" ? a.usual : a.serve(what);
    case "reroute":
      return a.reroute(rest.at(-1) ?? "", rest.slice(0, -1).join(" "));
    case "announce":
      return a.announce(what);
    case "notify":
      return a.notify(what);
    case "alert":
      return a.alert(severityText(t, what));
    default:
      return action;
  }
}

export function severityText(t: Texts, severity: string): string {
  return t.alerts.severity[severity as keyof Texts["alerts"]["severity"]] ?? severity;
}

export function partyText(t: Texts, party: string): string {
  return t.party[party as keyof Texts["party"]] ?? party;
}

/** Why a rule fired, and what it had done. */
export function decisionText(t: Texts, { rule, policy, because, actions }: Omit<Decision, "call_ms">): string {
  const s = t.sentences;
  const { emotion, level, score, lasted_ms, failure, interruptions, said, facts, group } = because;
  const evidence = [
    s.mood(t.emotion[emotion] ?? emotion, t.level[level] ?? level, percent(score), Number(seconds(lasted_ms))),
    ...(failure ? [s.failure(failure)] : []),
    ...(interruptions === undefined ? [] : [s.interruptions(interruptions)]),
    ...(said === undefined ? [] : [s.said(said)]),
    ...(facts ?? []),
    ...(group === undefined ? [] : [s.group(group)]),
  ];
  const [open, close, comma, colon] = t.name === "English" ? [" (", ")", "; ", ": "] : ["（", "）", "；", "："];
  const deeds = actions.map((action) => actionText(t, action)).join(comma);
  const fired = `${s.decision(rule, policy)}${open}${evidence.join(comma)}${close}`;
  return deeds === "" ? fired : `${fired}${comma}${s.doing}${colon}${deeds}`;
}

/** What an event of a call says; `null` for those that are shown elsewhere. */
export function sentenceOf(t: Texts, event: CallEvent): Sentence | null {
  return (
    callSentence(t, event) ??
    promptSentence(t, event) ??
    moveSentence(t, event) ??
    chatSentence(t, event) ??
    mediaSentence(t, event) ??
    affairSentence(t, event) ??
    presenceSentence(t, event) ??
    wordsSentence(t, event) ??
    (HIDDEN.has(event.type) ? null : { kind: "other", text: t.sentences.other(event.type) })
  );
}

/** Events that say nothing to a supervisor. */
const HIDDEN = new Set([
  "observed",
  "said",
  "key_pressed",
  "codec_asked",
  "handshake_done",
  "conversation",
  "leg_ended",
  "audio_missed",
  "facts_told",
  "load_changed",
]);

const text = (value: unknown): string => (value === null || value === undefined ? "" : String(value));

function callSentence(t: Texts, event: CallEvent): Sentence | null {
  const s = t.sentences;
  switch (event.type) {
    case "call_started":
      return { kind: "other", text: s.started };
    case "call_answered":
      return { kind: "other", text: s.answered(text(event.target)) };
    case "call_ended":
      return { kind: "other", text: s.ended(text(event.reason)) };
    case "chat_opened":
      return { kind: "other", text: s.chatOpened(text(event.channel)) };
    case "secure_input":
      return { kind: "other", text: s.secure(event.on === true) };
    case "decided":
      return { kind: "decision", text: decisionText(t, decided(event)) };
    case "alert":
      return { kind: "alert", text: s.alert(severityText(t, text(event.severity)), text(event.text)) };
    case "alert_handled": {
      const deed = t.alerts.states[text(event.deed) as AlertState] ?? text(event.deed);
      return { kind: "alert", text: s.alertHandled(text(event.to ?? event.by), deed, text(event.rule)) };
    }
    case "priority_changed":
      return { kind: "decision", text: s.priority(event.queue_priority as number | null, text(event.by)) };
    case "alert_escalated": {
      const waited = t.alerts.escalated({ waited_s: Number(event.waited_s), to: (event.to ?? []) as string[] });
      return { kind: "alert", text: s.alert(severityText(t, text(event.severity)), `${text(event.text)} (${waited})`) };
    }
    case "escalation_likely": {
      const evidence = (event.evidence as string[]).join("; ");
      return { kind: "alert", text: s.escalation(percent(event.score as number), evidence) };
    }
    case "service_switched": {
      const served = (as: unknown) => (as as { service?: string } | null)?.service ?? s.usualService;
      return { kind: "decision", text: s.service(served(event.before), served(event.after)) };
    }
    default:
      return null;
  }
}

function chatSentence(t: Texts, event: CallEvent): Sentence | null {
  const s = t.sentences;
  switch (event.type) {
    case "message_dropped":
      return { kind: "words", text: s.messageDropped(partyText(t, text(event.party)), text(event.why)) };
    case "reply_suggested":
      return { kind: "decision", text: s.replySuggested(text(event.text), text(event.rule)) };
    case "answers_suggested": {
      const [best] = event.answers as { question: string; answer: string }[];
      return best ? { kind: "decision", text: s.answersSuggested(best.question, best.answer) } : null;
    }
    case "not_possible": {
      const action = actionText(t, text(event.action));
      return { kind: "decision", text: s.notPossible(action, text(event.reason)), failed: true };
    }
    default:
      return null;
  }
}

function decided(event: CallEvent): Omit<Decision, "call_ms"> {
  const because = event as unknown as Decision["because"];
  return { rule: text(event.rule), policy: text(event.policy), because, actions: event.actions as string[] };
}

/** A file by its name, a spoken text by its words. */
export function soundText(file: string): string {
  return file.startsWith(SAID) ? `“${file.slice(SAID.length)}”` : file;
}
const SAID = "say: ";

function promptSentence(t: Texts, event: CallEvent): Sentence | null {
  const s = t.sentences;
  const file = soundText(text(event.file));
  switch (event.type) {
    case "prompt_started":
      return { kind: "prompt", text: s.promptStarted(partyText(t, text(event.party)), file) };
    case "prompt_ended":
      return { kind: "prompt", text: s.promptEnded(file, event.completed === true) };
    case "prompt_failed":
      return { kind: "prompt", text: s.promptFailed(file, text(event.reason)), failed: true };
    default:
      return null;
  }
}

/** What other systems and the law have to do with the call. */
function affairSentence(t: Texts, event: CallEvent): Sentence | null {
  const s = t.sentences;
  switch (event.type) {
    case "consent":
      return { kind: "other", text: s.consents[text(event.state)] ?? text(event.state) };
    case "ticket_asked":
      return { kind: "decision", text: s.ticketAsked(text(event.crm), text(event.rule)) };
    case "outcome_told":
      return { kind: "other", text: s.outcomeTold(text(event.by), text(event.name)) };
    case "compliance_breached":
      return { kind: "alert", text: s.breached(text(event.rule), text(event.text)) };
    case "scenario_turned":
      return { kind: "other", text: turned(t, text(event.scenario), event) };
    case "group_turned":
      return { kind: "other", text: turned(t, `${text(event.by)} = ${text(event.group)}`, event) };
    default:
      return null;
  }
}

function turned(t: Texts, which: string, event: CallEvent): string {
  return t.sentences.turned(which, percent(event.before as number), percent(event.after as number));
}

/** What the way of the audio and other systems say. */
function mediaSentence(t: Texts, event: CallEvent): Sentence | null {
  const s = t.sentences;
  const reason = text(event.reason);
  switch (event.type) {
    case "call_forked":
      return { kind: "other", text: s.forked(text(event.source)) };
    case "fork_paused":
      return { kind: "other", text: s.forkPaused(event.on === true) };
    case "bypassed":
    case "bypass_ended":
      return { kind: "other", text: s.bypass(event.type === "bypassed") };
    case "bypass_failed":
      return { kind: "other", text: s.bypassFailed(reason), failed: true };
    case "handshake_failed":
      return { kind: "other", text: s.handshakeFailed(partyText(t, text(event.party)), reason), failed: true };
    case "pbx_done":
      return { kind: "move", text: s.pbxDone(text(event.pbx)) };
    case "pbx_failed":
      return { kind: "move", text: s.pbxFailed(text(event.pbx), reason), failed: true };
    default:
      return null;
  }
}

function moveSentence(t: Texts, event: CallEvent): Sentence | null {
  const s = t.sentences;
  const target = text(event.target);
  switch (event.type) {
    case "reroute_started":
      return { kind: "move", text: s.rerouteStarted(target, text(event.via)) };
    case "rerouted":
      if (event.via === "caller_replaced") return { kind: "move", text: s.callerReplaced };
      if (event.via === "handed_over") return { kind: "move", text: s.handedOver };
      return { kind: "move", text: s.rerouted(target, seconds(event.answer_ms as number)) };
    case "reroute_failed":
      return { kind: "move", text: s.rerouteFailed(target, text(event.reason)), failed: true };
    default:
      return null;
  }
}

function presenceSentence(t: Texts, event: CallEvent): Sentence | null {
  const s = t.sentences;
  const [number, reason] = [event.supervisor as number, text(event.reason)];
  const mode = t.supervise.modes[event.mode as SupervisionMode] ?? text(event.mode);
  const kind = "supervisor";
  switch (event.type) {
    case "supervisor_called":
      return { kind, text: s.supervisorCalled(number, text(event.target), mode) };
    case "supervisor_joined":
      return { kind, text: s.supervisorJoined(number) };
    case "supervisor_changed":
      return { kind, text: s.supervisorChanged(number, mode) };
    case "supervisor_left":
      return { kind, text: s.supervisorLeft(number, reason) };
    case "supervisor_failed":
      return { kind, text: s.supervisorFailed(number, reason), failed: true };
    case "audio_opened":
      return { kind, text: s.audioOpened(event.client as number) };
    case "audio_closed":
      return { kind, text: s.audioClosed(event.client as number, seconds(event.lasted_ms as number)) };
    default:
      return null;
  }
}

function wordsSentence(t: Texts, event: CallEvent): Sentence | null {
  const party = partyText(t, text(event.party) as Party);
  if (event.type === "interrupted") {
    return { kind: "words", text: t.sentences.interrupted(party, event.times as number) };
  }
  if (event.type === "language_found") {
    return { kind: "words", text: t.sentences.languageFound(party, text(event.heard_in)) };
  }
  if (event.type !== "said" || event.final !== true || event.crosstalk === true) return null;
  if (typeof event.text === "string") return { kind: "words", text: t.sentences.spoken(party, event.text) };
  const phrases = (event.phrases as { text: string; intent: string }[]).map(
    (each) => `“${each.text}” (${each.intent})`,
  );
  return phrases.length === 0 ? null : { kind: "words", text: t.sentences.phrases(party, phrases.join(", ")) };
}

/** The words of the lexicons that a step of the timeline tells; `null` when it tells none. */
export function foundSentence(t: Texts, { party, words }: Pick<Step, "party" | "words">): Sentence | null {
  const found = words?.found.filter(({ negated }) => negated !== true) ?? [];
  if (found.length === 0) return null;
  const named = found.map(({ word, category }) => `“${word}” (${category})`).join(", ");
  return { kind: "words", text: t.sentences.phrases(partyText(t, party), named) };
}
