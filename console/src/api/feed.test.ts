// The feed comes back by itself and says what it may have missed.

import { beforeEach, describe, expect, it, vi } from "vitest";
import { type FeedEvent, type FeedWatcher, openFeed } from "./feed";

/** A server's side of each connection that was made. */
class FakeSocket {
  static made: FakeSocket[] = [];
  onopen: () => void = () => {};
  onclose: () => void = () => {};
  onmessage: (message: { data: string }) => void = () => {};
  closed = false;
  constructor(
    readonly address: URL,
    readonly protocol: string,
  ) {
    FakeSocket.made.push(this);
  }
  close(): void {
    this.closed = true;
  }
  send(told: object): void {
    this.onmessage({ data: JSON.stringify(told) });
  }
  tell(numbers: number[]): void {
    this.send({ type: "events", events: numbers.map((seq) => ({ seq, type: "alert" })) });
  }
}

vi.stubGlobal("WebSocket", FakeSocket);
vi.stubGlobal("location", { href: "https://calmline.example/#/" });
vi.useFakeTimers();

const told: string[] = [];
const watcher: FeedWatcher = {
  event: ({ seq }: FeedEvent) => told.push(`event ${seq}`),
  lagged: () => told.push("lagged"),
  state: (state) => told.push(state),
  closed: () => told.push("closed"),
};
const newest = () => FakeSocket.made.at(-1) as FakeSocket;
function breakAndWait(): void {
  newest().onclose();
  vi.advanceTimersByTime(15_000);
}

beforeEach(() => {
  FakeSocket.made = [];
  told.length = 0;
});

describe("the feed", () => {
  it("speaks the server's protocol at its own address", () => {
    openFeed(watcher).close();
    expect(newest()).toMatchObject({ protocol: "calmline.v1", closed: true });
    expect(newest().address.href).toBe("wss://calmline.example/v1/wall");
  });

  it("tells events that come together one by one, and comes back", () => {
    const feed = openFeed(watcher);
    newest().onopen();
    newest().tell([7, 9]);
    breakAndWait();
    newest().onopen();
    const again = ["broken", "closed", "connecting", "open", "lagged"];
    expect(told).toEqual(["connecting", "open", "event 7", "event 9", ...again]);
    feed.close();
  });

  it("says that it has missed something when it cannot know what", () => {
    const feed = openFeed(watcher);
    newest().onopen();
    newest().send({ type: "lagged", missed: null });
    newest().tell([3]);
    expect(told).toEqual(["connecting", "open", "lagged", "event 3"]);
    feed.close();
  });

  it("does not come back once it is closed", () => {
    const feed = openFeed(watcher);
    feed.close();
    breakAndWait();
    expect(FakeSocket.made).toHaveLength(1);
  });
});
