// Tells of a new alert by sound and by the desktop, as far as the user and the browser let it.

import type { Alert } from "../api/shapes";
import { beep } from "../sound/beep";
import { t } from "../texts";
import type { LiveCall } from "./fold";
import { settings } from "./settings";

/** Whether the browser can show notifications at all: only over HTTPS, or on this machine. */
export const canNotify = "Notification" in window && window.isSecureContext;

/** Asks for the permission; true when it is given. */
export async function askToNotify(): Promise<boolean> {
  return canNotify && (await Notification.requestPermission()) === "granted";
}

/** What is told of an alert's call; of one that is not up any more it may be no more than which it was. */
export type AnnouncedCall = Pick<LiveCall, "id"> & Partial<Pick<LiveCall, "route">>;

/** Tells of an alert that is as urgent now as its severity says. */
export function announceAlert({ id, route }: AnnouncedCall, alert: Alert): void {
  const { call_ms, rule, severity, text, escalated } = alert;
  if (settings.sound) beep(severity);
  if (!settings.notify || !canNotify || Notification.permission !== "granted") return;
  // Notifications show on locked screens, too: no word of who calls.
  const where = route === undefined ? "" : ` · ${route}`;
  const notification = new Notification(t.value.alerts.notification(t.value.alerts.severity[severity]), {
    body: `${text}${where}`,
    // One that has the tag of another takes its place, without a word: that would be the same alert in another window.
    tag: `${id}/${call_ms}/${rule}/${escalated?.step ?? 0}`,
    silent: true,
  });
  notification.onclick = () => {
    window.focus();
    location.hash = `#/calls/${encodeURIComponent(id)}`;
  };
}
