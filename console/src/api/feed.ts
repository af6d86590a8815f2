// The server's events as they happen, over a WebSocket: it comes back by itself, and goes on where it was.

/** An event with its number. */
export interface FeedEvent {
  seq: number;
  time: string;
  call: string;
  call_ms: number;
  type: string;
  [field: string]: unknown;
}

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
  let last: number | null = null;
  let failures = 0;
  let connected = false;
  let ended = false;

  function connect(): void {
    watcher.state("connecting");
    const address = new URL("/v1/events", location.href);
    address.protocol = address.protocol.replace("http", "ws");
    if (last !== null) address.searchParams.set("after", String(last));
    socket = new WebSocket(address, PROTOCOL);
    socket.onopen = () => {
      failures = 0;
      watcher.state("open");
      // Nothing says what came while it was broken.
      if (connected && last === null) watcher.lagged();
      connected = true;
    };
    socket.onmessage = ({ data }) => take(JSON.parse(String(data)) as FeedEvent);
    socket.onclose = again;
  }

  function take(event: FeedEvent): void {
    if (event.type === "lagged") {
      last = null;
      watcher.lagged();
      return;
    }
    last = event.seq;
    watcher.event(event);
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
