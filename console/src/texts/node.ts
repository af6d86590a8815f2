// What is said of the server and its machine: which parts work, how much there is to do, what is left.

interface NodeTexts {
  readiness: string;
  statuses: Record<"ready" | "degraded" | "draining" | "down", string>;
  parts: Record<string, string>;
  partStates: Record<string, string>;
  trunks: string;
  title: string;
  loads: Record<string, string>;
  version: string;
  up: string;
  calls: string;
  memory: string;
  lateness: string;
  libraries: string;
  librariesAt: (has: number, of: number) => string;
  cpu: (processors: number) => string;
  backlog: string;
  queue: string;
  unsent: string;
  files: string;
  disk: string;
  free: (size: string) => string;
}

export const NODE: Record<"zh" | "en", NodeTexts> = {
  zh: {
    readiness: "就绪状态",
    statuses: { ready: "正常", degraded: "降级运行", draining: "正在排空", down: "不可用" },
    parts: {
      sip: "SIP 信令",
      media: "媒体",
      listening: "语音监测",
      model: "情绪模型",
      words: "语音识别",
      words_elsewhere: "外部语音识别",
      store: "存储",
      kept_audio: "录音",
      reports: "定时报表",
      policy: "策略",
    },
    partStates: { up: "正常", down: "故障", unregistered: "未注册", unknown: "未知" },
    trunks: "中继",
    title: "节点",
    loads: { normal: "负载正常", sparing: "减少监测", overloaded: "过载：拒接新来电" },
    version: "版本",
    up: "已运行",
    calls: "进行中的通话",
    memory: "内存",
    lateness: "媒体时钟延迟",
    libraries: "站点资料库",
    librariesAt: (has, of) => `第 ${has} 次变更，共 ${of} 次`,
    cpu: (processors) => `处理器（${processors} 核）`,
    backlog: "监测积压",
    queue: "控制队列",
    unsent: "未发出的包",
    files: "打开的文件与套接字",
    disk: "存储磁盘",
    free: (size) => `剩余 ${size}`,
  },
  en: {
    readiness: "Readiness",
    statuses: { ready: "Ready", degraded: "Degraded", draining: "Draining", down: "Down" },
    parts: {
      sip: "SIP signalling",
      media: "Media",
      listening: "Listening",
      model: "Emotion model",
      words: "Recognition",
      words_elsewhere: "Recognition elsewhere",
      store: "Store",
      kept_audio: "Kept audio",
      reports: "Reports by the clock",
      policy: "Policy",
    },
    partStates: { up: "up", down: "down", unregistered: "not registered", unknown: "unknown" },
    trunks: "Trunks",
    title: "Node",
    loads: { normal: "Load normal", sparing: "Listening spared", overloaded: "Overloaded: calls refused" },
    version: "Version",
    up: "Up for",
    calls: "Calls that are up",
    memory: "Memory",
    lateness: "Media ticks late",
    libraries: "The site’s libraries",
    librariesAt: (has, of) => `change ${has} of ${of}`,
    cpu: (processors) => (processors === 1 ? "Processor" : `Processors (${processors})`),
    backlog: "Audio that waits for listening",
    queue: "Queue of call control",
    unsent: "Packets not sent",
    files: "Open files and sockets",
    disk: "Disk of the store",
    free: (size) => `${size} free`,
  },
};
