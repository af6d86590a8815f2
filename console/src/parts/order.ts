// An order from a panel: sent once, and what the server said at once. What becomes of it, events tell.

import { computed, ref } from "vue";
import { t } from "../texts";
import { problemText } from "../texts/problem";

export function useOrder() {
  const busy = ref(false);
  const problem = ref<unknown>(null);
  const sent = ref(false);

  async function give(order: () => Promise<unknown>): Promise<void> {
    if (busy.value) return;
    busy.value = true;
    problem.value = null;
    sent.value = false;
    try {
      await order();
      sent.value = true;
    } catch (error) {
      problem.value = error;
    } finally {
      busy.value = false;
    }
  }

  const problemWords = computed(() => (problem.value === null ? null : problemText(t.value, problem.value)));
  return { busy, sent, problemWords, give };
}
