// How kinds of what happened are marked, in the list as in the chart: a letter and a colour of the tokens.

import type { Kind } from "../texts/sentences";

export const KINDS: Record<Kind, { letter: string; colour: string }> = {
  decision: { letter: "D", colour: "--accent" },
  prompt: { letter: "P", colour: "--pitch" },
  move: { letter: "M", colour: "--callee-line" },
  alert: { letter: "!", colour: "--high" },
  words: { letter: "W", colour: "--medium" },
  supervisor: { letter: "S", colour: "--low" },
  other: { letter: "·", colour: "--text-quiet" },
};
