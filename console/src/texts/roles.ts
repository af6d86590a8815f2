// What roles are called, and what each may.

import type { Role } from "../api/shapes";

interface RoleTexts {
  roles: Record<Role, string>;
  roleNotes: Record<Role, string>;
}

export const ROLES: Record<"zh" | "en", RoleTexts> = {
  zh: {
    roles: { administrator: "管理员", supervisor: "督导", operator: "运维人员", agent: "坐席", auditor: "审计员" },
    roleNotes: {
      administrator: "除坐席自己的通话外，什么都可以。",
      supervisor: "查看通话与告警、监听、插话、播放与转接。",
      operator: "策略、资料库、报表与运维；看不到通话。",
      agent: "只看自己正在接听的通话：情绪、话术与知识。",
      auditor: "只看审计记录。",
    },
  },
  en: {
    roles: {
      administrator: "Administrator",
      supervisor: "Supervisor",
      operator: "Operator",
      agent: "Agent",
      auditor: "Auditor",
    },
    roleNotes: {
      administrator: "Everything but an agent's own calls.",
      supervisor: "Calls and alerts; listens, takes part, plays, transfers.",
      operator: "Policies, libraries, reports and operations; no calls.",
      agent: "The calls that they answer themselves: mood, script, knowledge.",
      auditor: "The audit trail alone.",
    },
  },
};
