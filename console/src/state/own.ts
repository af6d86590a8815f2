// The calls that an agent serves, as the server tells them whenever something of them changes.

import { ref, shallowRef } from "vue";
import type { FeedState } from "../api/feed";
import type { OwnCall } from "../api/shapes";
import { checkSession, stayActive } from "./session";

/** The calls, as they were told last. */
export const ownCalls = shallowRef<OwnCall[]>([]);
export const ownFeed = ref<FeedState>("connecting");

/** When a feed that the server has refused is asked for again. */
const AGAIN_MS = 3_000;

/** Follows the server until the returned function is called; then everything is forgotten. */
export function followOwn(): () => void {
  let source: EventSource | null = null;
  let timer: ReturnType<typeof setTimeout> | undefined;

  function connect(): void {
    source = new EventSource("/v1/own/events");
    source.onopen = () => {
      ownFeed.value = "open";
    };
    source.addEventListener("own_calls", ({ data }: MessageEvent<string>) => {
      ownCalls.value = (JSON.parse(data) as { calls: OwnCall[] }).calls;
      // Whoever speaks to a customer need not touch this page.
      if (ownCalls.value.length > 0) stayActive();
    });
    source.onerror = () => {
      ownFeed.value = "broken";
      void checkSession();
      // What broke comes back by itself; what was refused does not.
      if (source?.readyState === EventSource.CLOSED) timer = setTimeout(connect, AGAIN_MS);
    };
  }

  connect();
  return () => {
    clearTimeout(timer);
    source?.close();
    [ownCalls.value, ownFeed.value] = [[], "connecting"];
  };
}
