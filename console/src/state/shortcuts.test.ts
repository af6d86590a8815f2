// Which keys do something, and where none does.

import { beforeEach, expect, it, vi } from "vitest";

/** What has the focus: within something of that selector, or on the page itself. */
class Focused {
  constructor(readonly within: string | null) {}
  closest(selectors: string): Focused | null {
    return this.within !== null && selectors.split(", ").includes(this.within) ? this : null;
  }
}
let press: (event: object) => void = () => {};
vi.stubGlobal("Element", Focused);
vi.stubGlobal("addEventListener", (_: string, react: typeof press) => {
  press = react;
});
vi.doMock("vue", () => ({ onMounted: (begin: () => void) => begin(), onBeforeUnmount: () => {} }));
const settings = { shortcuts: true };
vi.doMock("./settings", () => ({ settings }));
const { useShortcuts } = await import("./shortcuts");

const done: string[] = [];
const act = (name: string) => () => done.push(name);
useShortcuts({ acknowledge: act("acknowledge"), snooze: act("snooze"), back: act("back"), next: act("next") });
const key = (key: string, within: string | null = null, more: object = {}) =>
  press({ key, target: new Focused(within), preventDefault: () => {}, ...more });

beforeEach(() => {
  done.length = 0;
  settings.shortcuts = true;
});

it("does what its key says, unless something else is meant or wanted", () => {
  for (const each of ["a", "s", "Escape", "x"]) key(each);
  expect(done).toEqual(["acknowledge", "snooze", "back"]);
  for (const held of ["ctrlKey", "metaKey", "altKey", "defaultPrevented"]) key("a", null, { [held]: true });
  settings.shortcuts = false;
  key("a");
  expect(done).toHaveLength(3);
});

it("does nothing while somebody types, and none through what stands open above the page", () => {
  for (const within of ["select", "textarea", "[role=dialog]", "[role=alertdialog]", "[role=menu]"]) {
    key("a", within);
    key("Escape", within);
  }
  expect(done).toEqual([]);
});

it("takes a key that is held for one, but where it only moves on", () => {
  key("a");
  key("j");
  for (const held of ["a", "s", "j"]) key(held, null, { repeat: true });
  expect(done).toEqual(["acknowledge", "next", "next"]);
});
