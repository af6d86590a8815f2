// What the server's own sample of events makes of a call, and whether every one of them can be told in both languages.

import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import type { FeedEvent } from "../api/feed";
import type { Call } from "../api/shapes";
import { en } from "../texts/en";
import { foundSentence, sentenceOf } from "../texts/sentences";
import { zh } from "../texts/zh";
import { foldCall } from "./record";

const golden = new URL("../../../src/web/golden/events.jsonl", import.meta.url);
const events: FeedEvent[] = readFileSync(golden, "utf8")
  .trim()
  .split("\n")
  .map((line) => JSON.parse(line));

const fresh: Call = {
  id: "call-1",
  state: "ringing",
  from: "",
  to: "",
  route: "after-sales",
  scenario: "after-sales",
  started: "2023-11-14T22:13:20.000Z",
  answered: null,
  ended: null,
  setup_ms: null,
  talk_ms: null,
  end_reason: null,
  target: null,
  emotion: null,
  peak: null,
  decisions: [],
  prompts: [],
  reroutes: [],
  alerts: [],
  conversations: [],
  supervisors: [],
  audio: [],
  legs: [],
  bypassed: false,
  packets_lost: null,
  timeline: [],
  events: [],
};
const whole = events.reduce(foldCall, fresh);

describe("the server's sample call", () => {
  it("ends as the server's record of it does", () => {
    expect(whole).toMatchObject({ state: "ended", target: "human", setup_ms: 120, packets_lost: 3, bypassed: false });
    expect(whole.peak).toMatchObject({ level: "high", anger: 0.875, call_ms: 3_000 });
    expect([whole.decisions.length, whole.prompts.length, whole.alerts.length, whole.legs.length]).toEqual([
      1, 2, 1, 1,
    ]);
    expect(whole.decisions[0]?.because).toMatchObject({ score: 0.875, facts: ["order.state = delayed"] });
    expect(whole.prompts.map(({ outcome }) => outcome)).toEqual(["completed", "failed"]);
    expect(whole.reroutes.map(({ outcome, gap_ms }) => [outcome, gap_ms])).toEqual([
      ["done", 18],
      ["failed", null],
    ]);
    expect(whole.supervisors).toHaveLength(1);
    expect(whole.supervisors[0]).toMatchObject({ mode: "barge", state: "left", answer_ms: 2_400 });
    expect(whole.audio[0]).toMatchObject({ missed_ms: 1_240, lasted_ms: 30_000 });
    expect(whole.phrases).toMatchObject([{ intent: "complaint", party: "caller", text: "我要投诉" }]);
    expect(whole.fork).toMatchObject({ source: "siprec", paused: true });
  });

  it("keeps steps apart from other events, and no keys", () => {
    expect(whole.timeline).toHaveLength(1);
    expect(whole.timeline[0]).toMatchObject({ party: "caller", anger: 0.875, pitch_hz: 262.5 });
    const types = new Set(whole.events.map(({ type }) => type));
    expect([types.has("observed"), types.has("key_pressed"), types.has("decided")]).toEqual([false, false, true]);
  });

  it("tells words with the step that they came with", () => {
    const again = events.filter(({ type }) => type === "observed");
    const twice = [...events, ...again].reduce(foldCall, fresh);
    expect(twice.timeline.map(({ words }) => words?.found[0]?.word)).toEqual(["投诉", undefined]);
  });

  it("shows no words any more when the caller refuses that they are kept", () => {
    const refused = foldCall(whole, { ...(events[2] as FeedEvent), type: "consent", state: "refused", by: "key" });
    expect([refused.consent, refused.phrases, refused.timeline[0]?.words]).toEqual(["refused", [], undefined]);
    const types = refused.events.map(({ type }) => type);
    expect([types.includes("said"), types.at(-1), whole.timeline[0]?.words === undefined]).toEqual([
      false,
      "consent",
      false,
    ]);
  });

  it("passes over other calls", () => {
    expect(foldCall(fresh, { ...(events[2] as FeedEvent), call: "call-2" })).toBe(fresh);
  });

  it("forgets the oldest beyond its bounds", () => {
    const alert = events.find(({ type }) => type === "alert") as FeedEvent;
    const many = Array.from({ length: 600 }, (_, at) => ({ ...alert, call_ms: at }));
    const folded = many.reduce(foldCall, fresh);
    expect([folded.alerts.length, folded.events.length, folded.events[0]?.call_ms]).toEqual([100, 500, 100]);
  });
});

/** Events that the console has words for; others are told by their names. */
const TOLD =
  /^(call_(started|answered|ended|forked)|alert|decided|rerout|prompt_|supervisor_|audio_(opened|closed)|bypass|pbx_|said|interrupted|chat_opened|reply_suggested|answers_suggested|escalation_likely|service_switched|compliance_breached|scenario_turned|group_turned|consent)/;

describe.each([zh, en])("sentences in $name", (texts) => {
  it.each(events.map((event) => [event.type, event] as const))("%s", (_, event) => {
    const sentence = sentenceOf(texts, event);
    expect(sentence?.text ?? "").not.toMatch(/undefined|null|NaN|\[object/);
    if (TOLD.test(event.type)) expect(sentence?.text).not.toBe(texts.sentences.other(event.type));
  });
  it("names rule, evidence and deeds of a decision", () => {
    const decided = events.find(({ type }) => type === "decided") as FeedEvent;
    const { text = "" } = sentenceOf(texts, decided) ?? {};
    for (const part of [
      "angry-caller",
      "after-sales@3",
      "88",
      "1.5",
      "order.state = delayed",
      "sorry-transfer.wav",
      "human",
    ]) {
      expect(text).toContain(part);
    }
  });
});

it("names what was spoken by its words", () => {
  const spoken = events.find(({ type }) => type === "prompt_started") as FeedEvent;
  expect(sentenceOf(en, { ...spoken, file: "say: We are sorry." })?.text).toBe("Playing “We are sorry.” to the caller");
  expect(sentenceOf(zh, { ...spoken, file: "wait.wav" })?.text).toBe("向来电者播放 wait.wav");
});

it("tells words of the lexicons, and none that are negated", () => {
  const [step] = whole.timeline;
  expect(step && foundSentence(en, step)?.text).toBe("Caller said “投诉” (complaint)");
  const words = step?.words && { ...step.words, found: step.words.found.map((each) => ({ ...each, negated: true })) };
  expect(foundSentence(en, { party: "caller", words })).toBeNull();
});

it("leaves no text empty in either language", () => {
  const empty = (texts: object, path: string): string[] =>
    Object.entries(texts).flatMap(([key, text]) => {
      if (typeof text === "object") return empty(text, `${path}.${key}`);
      return typeof text === "string" && text.trim() === "" ? [`${path}.${key}`] : [];
    });
  expect([...empty(zh, "zh"), ...empty(en, "en")]).toEqual([]);
});
