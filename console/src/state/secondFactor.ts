// Whether a code is asked for beside a password, what is typed of it, and what is sent.

import { ref } from "vue";
import type { Problem } from "../api/client";

export function useSecondFactor() {
  /** Whether the password was right and a code is asked for besides. */
  const asked = ref(false);
  const code = ref("");
  return {
    asked,
    code,
    /** The code as it is sent, without spaces. */
    digits: () => (asked.value ? code.value.replace(/\s/g, "") : undefined),
    /** Empties the field; whether it is a code that was missing, for which is asked from now on. */
    isAskedBy(refusal: Problem): boolean {
      code.value = "";
      if (refusal.needs !== "code") return false;
      asked.value = true;
      return true;
    },
    forget(): void {
      asked.value = false;
      code.value = "";
    },
  };
}
