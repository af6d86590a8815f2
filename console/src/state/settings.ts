// What this browser remembers of how its user likes the console. Never anything of a call or a person.

import { reactive, watch } from "vue";
import type { Language } from "../api/shapes";

export type Theme = "system" | "light" | "dark";

export interface Settings {
  language: Language;
  theme: Theme;
  /** Alerts make a sound. */
  sound: boolean;
  /** Alerts are shown by the desktop. */
  notify: boolean;
  /** Single keys do things. */
  shortcuts: boolean;
  /** The target of `[targets]` that was last called as a supervisor's phone. */
  supervisorTarget: string;
  /** The target that a caller was last moved to. */
  moveTarget: string;
}

const KEY = "calmline.settings";

function usual(): Settings {
  const language = navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en";
  return {
    language,
    theme: "system",
    sound: true,
    notify: false,
    shortcuts: true,
    supervisorTarget: "",
    moveTarget: "",
  };
}

function stored(): Settings {
  const settings = usual();
  try {
    const kept = JSON.parse(localStorage.getItem(KEY) ?? "{}") as Partial<Settings>;
    if (kept.language === "zh" || kept.language === "en") settings.language = kept.language;
    if (kept.theme === "light" || kept.theme === "dark") settings.theme = kept.theme;
    for (const flag of ["sound", "notify", "shortcuts"] as const) {
      if (typeof kept[flag] === "boolean") settings[flag] = kept[flag];
    }
    for (const target of ["supervisorTarget", "moveTarget"] as const) {
      if (typeof kept[target] === "string") settings[target] = kept[target];
    }
  } catch {
    // Somebody else wrote there: the usual will do.
  }
  return settings;
}

export const settings = reactive(stored());

const systemIsDark = matchMedia("(prefers-color-scheme: dark)");

function wear(): void {
  const dark = settings.theme === "system" ? systemIsDark.matches : settings.theme === "dark";
  document.documentElement.dataset.theme = dark ? "dark" : "light";
}

systemIsDark.addEventListener("change", wear);
watch(
  settings,
  () => {
    localStorage.setItem(KEY, JSON.stringify(settings));
    document.documentElement.lang = settings.language === "zh" ? "zh-CN" : "en";
    wear();
  },
  { immediate: true },
);

/** Remembers a target's name as one's own phone or as where callers are moved, unless it looks like somebody's number. */
export function rememberTarget(as: "supervisorTarget" | "moveTarget", target: string): void {
  if (!/\d{5}/.test(target)) settings[as] = target;
}
