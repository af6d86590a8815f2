// The calls that are over, the latest first, as far as they have been asked for.

import { ref, shallowRef } from "vue";
import { api } from "../api/client";
import type { Summary } from "../api/shapes";

const PAGE = 50;

export function useEnded() {
  const calls = shallowRef<Summary[]>([]);
  /** Where the list goes on; null at its end. */
  const next = ref<string | null>(null);
  const loaded = ref(false);
  const loading = ref(false);
  /** Nodes whose calls are not among these. */
  const missing = ref<string[]>([]);
  const problem = ref<unknown>(null);

  /** Asks for the next page, the first one at first: one at a time, or it would stand there twice. */
  async function more(): Promise<void> {
    if (loading.value) return;
    loading.value = true;
    try {
      const before = next.value;
      const page = await api.calls({ state: "ended", limit: PAGE, ...(before && { before }) });
      calls.value = [...calls.value, ...page.calls];
      next.value = page.next ?? null;
      missing.value = page.missing ?? [];
      loaded.value = true;
      problem.value = null;
    } catch (error) {
      problem.value = error;
    } finally {
      loading.value = false;
    }
  }

  return { calls, next, loaded, loading, missing, problem, more };
}
