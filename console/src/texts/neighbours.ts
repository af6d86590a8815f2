// What is said of systems outside: what they are still to be told of, and the data that is pulled from them.

interface NeighbourTexts {
  title: string;
  deliveries: string;
  noDeliveries: string;
  system: string;
  event: string;
  attempts: string;
  next: string;
  setAside: string;
  retry: string;
  drop: string;
  dropConfirm: (system: string) => string;
  sources: string;
  noSources: string;
  source: string;
  age: string;
  rows: string;
  seconds: (count: number) => string;
  never: string;
}

export const NEIGHBOURS: Record<"zh" | "en", NeighbourTexts> = {
  zh: {
    title: "外部系统",
    deliveries: "待送达",
    noDeliveries: "没有等待或搁置的通知。",
    system: "系统",
    event: "事件",
    attempts: "次数",
    next: "下次",
    setAside: "已搁置",
    retry: "重试",
    drop: "丢弃",
    dropConfirm: (system) => `这条给 ${system} 的通知将不再送达，无法撤回。`,
    sources: "业务数据",
    noSources: "没有配置业务数据来源。",
    source: "来源",
    age: "距上次",
    rows: "行数",
    seconds: (count) => `${count} 秒`,
    never: "尚未成功",
  },
  en: {
    title: "Systems outside",
    deliveries: "Still to be told",
    noDeliveries: "Nothing waits, and nothing was set aside.",
    system: "System",
    event: "Event",
    attempts: "Tries",
    next: "Next",
    setAside: "set aside",
    retry: "Try again",
    drop: "Drop",
    dropConfirm: (system) => `${system} will never be told of it. This cannot be undone.`,
    sources: "Business data",
    noSources: "No sources are configured.",
    source: "Source",
    age: "Age",
    rows: "Rows",
    seconds: (count) => `${count} s`,
    never: "never yet",
  },
};
