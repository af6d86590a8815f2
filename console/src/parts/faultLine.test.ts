// Faults of the server at the lines of the text.

import { expect, it } from "vitest";
import { faultLine } from "./faultLine";

const TEXT = `name = "after-sales"
version = 3
scenarios = ["after-sales"]

[[rule]]
id = "angry"
when = { emotion = "anger", level = "high" }
then = [
  { reroute = "bridge", target = "bot" },
]

[[rule]]
id = "level"
[rule.when]
level = "loud"

[[fallback]]
id = "down"`;

it.each([
  ["line 7, column 3", 7],
  ["version", 2],
  ["rule[1].when.level", 7],
  ["rule[1].then[1].target", 9],
  ["rule[2].when.level", 15],
  ["rule[2].then", 12],
  ["rule[3]", null],
  ["fallback[1].id", 18],
  ["wording", null],
])("%s", (key, line) => {
  expect(faultLine(TEXT, key)).toBe(line);
});
