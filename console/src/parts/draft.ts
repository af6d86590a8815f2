// The text of a library's file while somebody changes it: as it was read, as it is now, and what the server says of it.

import { computed, ref, shallowRef } from "vue";
import { api, type Known, Problem } from "../api/client";
import type { Fault } from "../api/shapes";
import { t } from "../texts";
import { problemText } from "../texts/problem";

export function useDraft() {
  /** The file as it was read: it is written only while it is still that one. Nothing of a new one. */
  const file = shallowRef<Known<string> | null>(null);
  const draft = ref("");
  const faults = ref<Fault[]>([]);
  const good = ref(false);
  const done = ref<string | null>(null);
  const problem = ref<unknown>(null);
  const busy = ref(false);

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
  return { file, draft, isChanged, faults, good, done, problemWords, busy, doing, check, write };
}
