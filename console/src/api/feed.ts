// The server's events as they happen, over a WebSocket, those of a fifth of a second at a time: it comes back by itself.

/** An event with its number. */
export interface FeedEvent {
  seq: number;
  time: string;
  call: string;
  call_ms: number;
  type: string;
  [field: string]: unknown;
}

/** What the server tells at a time. */
type Told = { type: "events"; events: FeedEvent[] } | { type: "lagged" };

export type FeedState = "connecting" | "open" | "broken";

/** What a feed tells. */
export interface FeedWatcher {
  event(event: FeedEvent): void;
  /** Events were lost: what is known has to be read again. */
  lagged(): void;
  state(state: FeedState): void;
  /** The connection ended; the session may have, too. */
  closed(): void;
}

export interface Feed {
  close(): void;
}

const PROTOCOL = "calmline.v1";
/** How long to wait before the next try, milliseconds: longer and longer, and by chance, so that not all come at once. */
const WAITS_MS = [500, 1_000, 2_000, 5_000, 10_000];

/** Opens the feed. Events before the first connection are not told. */
export function openFeed(watcher: FeedWatcher): Feed {
  let socket: WebSocket | null = null;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let failures = 0;
  let connected = false;
  let ended = false;

  function connect(): void {
    watcher.state("connecting");
    const address = new URL("/v1/wall", location.href);
    address.protocol = address.protocol.replace("http", "ws");
    socket = new WebSocket(address, PROTOCOL);
    socket.onopen = () => {
      failures = 0;
      watcher.state("open");
      // Nothing says what came while it was broken.
      if (connected) watcher.lagged();
      connected = true;
    };
    socket.onmessage = ({ data }) => take(JSON.parse(String(data)) as Told);
    socket.onclose = again;
  }

  function take(told: Told): void {
    if (told.type === "lagged") watcher.lagged();
    else for (const event of told.events) watcher.event(event);
  }

  function again(): void {
    if (ended) return;
    watcher.state("broken");
    watcher.closed();
    const wait = WAITS_MS[Math.min(failures, WAITS_MS.length - 1)] ?? 10_000;
    failures += 1;
    timer = setTimeout(connect, wait * (0.75 + Math.random() / 2));
  }

  connect();
  return {
    close() {
      ended = true;
      clearTimeout(timer);
      socket?.close();
    },
  };
}
