// The text of a library's file while somebody changes it: as it was read, as it is now, and what the server says of it. What is not
// saved is lost by nobody's mistake: whoever leaves is asked, and who has to sign in again goes on with it.

import { computed, nextTick, onBeforeUnmount, onMounted, ref, shallowRef } from "vue";
import { onBeforeRouteLeave } from "vue-router";
import { api, type Known, Problem } from "../api/client";
import type { Fault } from "../api/shapes";
import { user } from "../state/session";
import { t } from "../texts";
import { problemText } from "../texts/problem";

/** Which file somebody changes. */
export interface Place {
  kind: string;
  name: string;
}

/** A text that was being changed when the page went. */
interface Kept extends Place {
  whose: string;
  file: Known<string> | null;
  before: string;
  draft: string;
}

/** Those of all who were signed in here; of more, the oldest are forgotten. */
const KEPT_MAX = 8;
const kept: Kept[] = [];

const isOf =
  (whose: string, { kind, name }: Place) =>
  (each: Kept) =>
    each.whose === whose && each.kind === kind && each.name === name;

export function useDraft() {
  /** The file as it was read: it is written only while it is still that one. Nothing of a new one. */
  const file = shallowRef<Known<string> | null>(null);
  const draft = ref("");
  const faults = ref<Fault[]>([]);
  const good = ref(false);
  const done = ref<string | null>(null);
  const problem = ref<unknown>(null);
  const busy = ref(false);
  const unsaved = useUnsaved(file, draft);

  async function doing(deed: () => Promise<void>): Promise<void> {
    [busy.value, problem.value, done.value] = [true, null, null];
    try {
      await deed();
    } catch (error) {
      faults.value = error instanceof Problem ? error.faults : [];
      problem.value = faults.value.length > 0 ? null : error;
    } finally {
      busy.value = false;
    }
  }

  const check = (kind: string, name: string) =>
    doing(async () => {
      [good.value, faults.value] = [false, []];
      await api.checkLibrary(kind, name, draft.value);
      good.value = true;
    });

  /** Puts the draft in the file's place: a deed, or part of one. */
  function write(kind: string, name: string) {
    faults.value = [];
    return api.writeLibrary(kind, name, draft.value, file.value?.etag ?? null);
  }

  const isChanged = computed(() => draft.value !== (file.value?.is ?? ""));
  const problemWords = computed(() => (problem.value === null ? null : problemText(t.value, problem.value)));
  return { file, draft, isChanged, faults, good, done, problemWords, busy, doing, check, write, ...unsaved };
}

/** Looks after what is not saved of a file's text. */
function useUnsaved(file: { value: Known<string> | null }, draft: { value: string }) {
  // Whoever is signed out is nobody by the time that the page goes.
  const whose = user.value;
  const place = shallowRef<Place | null>(null);
  /** The text before anybody changed it. */
  const before = ref("");
  const isEdited = computed(() => place.value !== null && draft.value !== before.value);
  /** Whether it is asked if what is not saved may be lost. */
  const asksToLose = ref(false);
  let answered: (may: boolean) => void = () => {};

  /** Shows a file's text; or what was kept of it, which counts for the file as that was read. */
  function begin(at: Place, read: Known<string> | null, text: string): void {
    const index = kept.findIndex(isOf(whose, at));
    const [found] = index < 0 ? [] : kept.splice(index, 1);
    place.value = at;
    file.value = found === undefined ? read : found.file;
    before.value = found?.before ?? text;
    draft.value = found?.draft ?? text;
  }

  /** Whether what is not saved, if anything, may be lost: then it is. */
  async function mayLose(): Promise<boolean> {
    if (!isEdited.value) return true;
    answered(false);
    asksToLose.value = true;
    const may = await new Promise<boolean>((resolve) => {
      answered = resolve;
    });
    if (may) draft.value = before.value;
    return may;
  }
  function lose(may: boolean): void {
    asksToLose.value = false;
    answered(may);
  }
  /** The question is closed, by its answer or without one. */
  async function keep(): Promise<void> {
    await nextTick();
    lose(false);
  }

  function warn(event: BeforeUnloadEvent): void {
    if (isEdited.value) event.preventDefault();
  }
  onBeforeRouteLeave(mayLose);
  onMounted(() => addEventListener("beforeunload", warn));
  onBeforeUnmount(() => {
    removeEventListener("beforeunload", warn);
    answered(false);
    if (place.value === null || !isEdited.value) return;
    kept.push({ whose, ...place.value, file: file.value, before: before.value, draft: draft.value });
    if (kept.length > KEPT_MAX) kept.shift();
  });

  /** The file of one of these kinds whose text was kept, if there is one. */
  const keptOf = (kinds: readonly string[]): Place | undefined =>
    kept.findLast((each) => each.whose === whose && kinds.includes(each.kind));
  return { begin, keptOf, mayLose, asksToLose, lose, keep };
}
