// The time, once a second, for durations that are shown while they grow.

import { computed, readonly, ref } from "vue";
import { dayOf } from "../texts/format";

const time = ref(Date.now());
setInterval(() => {
  time.value = Date.now();
}, 1_000);

/** Milliseconds since 1970, at most a second old. */
export const now = readonly(time);

/** The day that it is. */
export const today = computed(() => dayOf(new Date(time.value)));
