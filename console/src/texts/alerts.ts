// What is said of alerts.

interface AlertTexts {
  title: string;
  none: string;
  open: (count: number) => string;
  acknowledge: string;
  take: string;
  give: string;
  giveTo: string;
  giveNobody: string;
  snooze: string;
  end: string;
  by: (who: string, time: string) => string;
  states: Record<"open" | "escalated" | "snoozed" | "assigned" | "acknowledged" | "ended", string>;
  /** For how long nobody has reacted, and whom it is for now. */
  escalated: (told: { waited_s: number; to?: string[] }) => string;
  severity: Record<"info" | "warning" | "critical", string>;
  breaches: string;
  duties: Record<string, string>;
  goTo: string;
  sound: string;
  notify: string;
  notifyDenied: string;
  showHandled: string;
  notification: (severity: string) => string;
}

export const ALERTS: Record<"zh" | "en", AlertTexts> = {
  zh: {
    title: "告警",
    none: "暂无告警。",
    open: (count) => `${count} 条待处理`,
    acknowledge: "确认",
    take: "由我处理",
    give: "指派…",
    giveTo: "指派给",
    giveNobody: "没有其他人能看到这通电话。",
    snooze: "稍后 5 分钟",
    end: "结束",
    by: (who, time) => `${who}，${time}`,
    states: {
      open: "待处理",
      escalated: "无人处理，已升级",
      snoozed: "已暂缓",
      assigned: "处理中",
      acknowledged: "已确认",
      ended: "已结束",
    },
    escalated: ({ waited_s, to }) => `${waited_s} 秒无人处理${to?.length ? `，已通知 ${to.join("、")}` : ""}`,
    severity: { info: "提示", warning: "警告", critical: "严重" },
    breaches: "违反的合规规则",
    duties: { never_say: "说了不得说的话", must_say: "没有说必须说的话" },
    goTo: "查看通话",
    sound: "提示音",
    notify: "桌面通知",
    notifyDenied: "浏览器不允许桌面通知；请在浏览器设置中开启，并通过 HTTPS 访问。",
    showHandled: "显示已处理",
    notification: (severity) => `Calmline 告警（${severity}）`,
  },
  en: {
    title: "Alerts",
    none: "No alerts.",
    open: (count) => `${count} open`,
    acknowledge: "Acknowledge",
    take: "Take it",
    give: "Give to…",
    giveTo: "Give it to",
    giveNobody: "Nobody else sees this call.",
    snooze: "Snooze 5 min",
    end: "End",
    by: (who, time) => `${who}, ${time}`,
    states: {
      open: "open",
      escalated: "nobody reacted",
      snoozed: "snoozed",
      assigned: "taken",
      acknowledged: "acknowledged",
      ended: "ended",
    },
    escalated: ({ waited_s, to }) =>
      `nobody reacted for ${waited_s} s${to?.length ? `: now for ${to.join(", ")}` : ""}`,
    severity: { info: "Info", warning: "Warning", critical: "Critical" },
    breaches: "Compliance rules broken",
    duties: { never_say: "Said what is never to be said", must_say: "Not said what must be" },
    goTo: "Open",
    sound: "Sound",
    notify: "Desktop notifications",
    notifyDenied: "The browser allows no notifications: permit them in its settings, and use HTTPS.",
    showHandled: "Show handled ones",
    notification: (severity) => `Calmline: ${severity.toLowerCase()} alert`,
  },
};
