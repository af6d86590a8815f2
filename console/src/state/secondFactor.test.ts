import { expect, test } from "vitest";
import { Problem } from "../api/client";
import { useSecondFactor } from "./secondFactor";

test("a code is sent once it is asked for, without spaces, and forgotten with each refusal", () => {
  const { asked, code, digits, isAskedBy, forget } = useSecondFactor();
  code.value = "123 456";
  expect(digits()).toBeUndefined();
  const missing = new Problem(401, "a code is needed", [], null, "code");
  expect([isAskedBy(missing), asked.value, code.value]).toEqual([true, true, ""]);
  code.value = "123 456";
  expect(digits()).toBe("123456");
  expect([isAskedBy(new Problem(401, "wrong")), asked.value, digits()]).toEqual([false, true, ""]);
  forget();
  expect([asked.value, digits()]).toEqual([false, undefined]);
});
