// Numbers, times and addresses as people read them.

import { describe, expect, it } from "vitest";
import { dayOrTime, duration, size, spreadAt, whoIs } from "./format";

describe("addresses", () => {
  it.each([
    ['"Li" <sip:13800138000@pbx.example>;tag=a1', "Li", "13800138000"],
    ['"李 \\"老\\" 师" <sips:8001@pbx>', '李 "老" 师', "8001"],
    ["Anna Bell <tel:+49-151-1>", "Anna Bell", "+49-151-1"],
    ["<sip:%2B86138@pbx.example;user=phone>", "", "+86138"],
    ["sip:bot@10.0.0.1;tag=x", "", "bot"],
    ["<sip:anonymous.invalid>", "", "anonymous.invalid"],
    ["person:0123456789abcdef0123456789abcdef", "", "person:01234567…"],
    ["person:short", "", "person:short"],
    ["", "", ""],
    ["<sip:%E4%ZZ@pbx>", "", "%E4%ZZ"],
  ])("%s", (header, name, address) => {
    expect(whoIs(header)).toEqual({ name, address });
  });
});

it("durations and sizes", () => {
  expect([-5, 0, 59_999, 185_000, 3_723_000].map(duration)).toEqual(["0:00", "0:00", "0:59", "3:05", "1:02:03"]);
  expect([0, 999, 1_500, 12_345_678].map(size)).toEqual(["0 B", "999 B", "1.5 kB", "12.3 MB"]);
});

it("times are with their day where that is another one", () => {
  expect(dayOrTime(new Date(2026, 10, 26, 0, 4, 59).toISOString(), "2026-11-26")).toBe("00:04:59");
  expect(dayOrTime(new Date(2026, 10, 25, 23, 59, 1).getTime(), "2026-11-26")).toBe("2026-11-25 23:59:01");
});

it("spreads give the same times as the server's", () => {
  // As `report/spread.rs` counts: ln(ms + 1) / ln(1.05), whole numbers.
  const sizeOf = (ms: number) => String(Math.floor(Math.log(ms + 1) / Math.log(1.05)));
  const spread = { [sizeOf(100)]: 1, [sizeOf(1_000)]: 2, [sizeOf(60_000)]: 1 };
  expect(spreadAt({}, 0.5)).toBeNull();
  for (const [share, ms] of [
    [0, 100],
    [0.25, 100],
    [0.5, 1_000],
    [1, 60_000],
  ] as const) {
    const found = spreadAt(spread, share) ?? 0;
    expect(found).toBeGreaterThanOrEqual(ms);
    expect(found).toBeLessThanOrEqual(ms * 1.06 + 1);
  }
});
