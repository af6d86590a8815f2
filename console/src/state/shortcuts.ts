// Single keys that do things, wherever the focus is, but not while somebody types. They can be switched off.

import { onBeforeUnmount, onMounted } from "vue";
import { settings } from "./settings";

/** What keys do; those that a page does not name do nothing there. */
export type Action =
  | "help"
  | "wall"
  | "reports"
  | "operations"
  | "filter"
  | "next"
  | "previous"
  | "acknowledge"
  | "snooze"
  | "listen"
  | "play"
  | "earlier"
  | "later"
  | "back";

export const KEYS: Record<Action, string> = {
  help: "?",
  wall: "1",
  reports: "2",
  operations: "3",
  filter: "/",
  next: "j",
  previous: "k",
  acknowledge: "a",
  snooze: "s",
  listen: "l",
  play: "p",
  earlier: "[",
  later: "]",
  back: "Escape",
};

/** Where keys belong to what has the focus: fields, and what stands open above the page. */
const TYPED_INTO = [
  "input:not([type=checkbox]):not([type=range])",
  "select",
  "textarea",
  "[role=dialog]",
  "[role=alertdialog]",
  "[role=menu]",
].join(", ");
/** What goes on while its key is held; everything else is done once for each time that it is pressed. */
const HELD: readonly Action[] = ["next", "previous", "earlier", "later"];

/** Does these things by their keys while the component is there. */
export function useShortcuts(actions: Partial<Record<Action, () => void>>): void {
  function react(event: KeyboardEvent): void {
    if (!settings.shortcuts || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (event.target instanceof Element && event.target.closest(TYPED_INTO) !== null) return;
    const action = (Object.keys(KEYS) as Action[]).find((each) => KEYS[each] === event.key);
    const act = action === undefined ? undefined : actions[action];
    if (action === undefined || act === undefined) return;
    event.preventDefault();
    if (!event.repeat || HELD.includes(action)) act();
  }
  onMounted(() => addEventListener("keydown", react));
  onBeforeUnmount(() => removeEventListener("keydown", react));
}
