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

export function announceAlert(call: LiveCall | undefined, { severity, text }: Alert): void {
  if (settings.sound) beep(severity);
  if (!settings.notify || !canNotify || Notification.permission !== "granted") return;
  // Notifications show on locked screens, too: no word of who calls.
  const where = call === undefined ? "" : ` · ${call.route}`;
  const notification = new Notification(t.value.alerts.notification(t.value.alerts.severity[severity]), {
    body: `${text}${where}`,
    tag: call?.id ?? "",
    silent: true,
  });
  notification.onclick = () => {
    window.focus();
    if (call !== undefined) location.hash = `#/calls/${encodeURIComponent(call.id)}`;
  };
}
