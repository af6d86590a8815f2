// How the list of ended calls grows.

import { expect, it, vi } from "vitest";
import type { CallsQuery } from "../api/client";

const calls = vi.fn(async ({ before }: CallsQuery) =>
  before === undefined ? { calls: [{ id: "b" }], next: "there" } : { calls: [{ id: "a" }], missing: ["node-b"] },
);
vi.doMock("../api/client", () => ({ api: { calls } }));
const { useEnded } = await import("./ended");

it("grows by a page at a time, however often it is asked for", async () => {
  const ended = useEnded();
  await Promise.all([ended.more(), ended.more()]);
  expect([ended.calls.value.map(({ id }) => id), ended.next.value]).toEqual([["b"], "there"]);
  await Promise.all([ended.more(), ended.more()]);
  expect(ended.calls.value.map(({ id }) => id)).toEqual(["b", "a"]);
  expect([ended.next.value, ended.missing.value, calls.mock.calls.length]).toEqual([null, ["node-b"], 2]);
});

it("can be asked again where it was refused", async () => {
  const ended = useEnded();
  calls.mockRejectedValueOnce(new Error("busy"));
  await ended.more();
  expect([ended.problem.value, ended.loaded.value, ended.loading.value]).toEqual([new Error("busy"), false, false]);
  await ended.more();
  expect([ended.problem.value, ended.calls.value.length]).toEqual([null, 1]);
});
