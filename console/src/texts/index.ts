// The texts in the language of the user's choice.

import { computed } from "vue";
import type { Language } from "../api/shapes";
import { settings } from "../state/settings";
import { en } from "./en";
import { type Texts, zh } from "./zh";

export type { Texts } from "./zh";

export const LANGUAGES: Record<Language, Texts> = { zh, en };

/** The texts; follows the setting. */
export const t = computed(() => LANGUAGES[settings.language]);
