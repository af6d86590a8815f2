// Requests, typed by path from the API's own description, and what they are refused for as the server tells it (RFC 9457).

import createClient from "openapi-fetch";
import type { paths } from "./openapi";
import type { Fault, ProblemBody } from "./shapes";

/** A request that was refused, or brought no answer (`status` 0). */
export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly detail: string,
    readonly faults: Fault[] = [],
    /** Seconds after which it may be tried again, where the server says so. */
    readonly retryAfterS: number | null = null,
    /** What is missing that only the person has: `code`, at a sign-in. */
    readonly needs: string | null = null,
  ) {
    super(detail);
    this.name = "Problem";
  }
}

/** Called when the server no longer knows who we are. */
let onSignedOut: () => void = () => {};

export function whenSignedOut(react: () => void): void {
  onSignedOut = react;
}

export const http = createClient<paths>({
  credentials: "same-origin",
  cache: "no-store",
  // Files and offers are texts of their own kinds.
  bodySerializer: (body) => (typeof body === "string" ? body : JSON.stringify(body)),
});
http.use({
  onRequest({ request }) {
    // Pages of others cannot send this header: what is ordered was ordered here.
    if (request.method !== "GET") request.headers.set("x-calmline-console", "1");
    return request;
  },
});

interface Answer<T> {
  data?: T | undefined;
  error?: unknown;
  response: Response;
}

/** An answer, whatever it says; a problem where there is none. */
export async function answerOf<T>(asked: Promise<Answer<T>>): Promise<Answer<T>> {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new Problem(0, "");
  }
}

/** What a request was answered, with its headers; throws what it was refused for. */
export async function answered<T>(asked: Promise<Answer<T>>): Promise<{ data: T; headers: Headers }> {
  const { data, error, response } = await answerOf(asked);
  if (response.ok) return { data: data as T, headers: response.headers };
  if (response.status === 401) onSignedOut();
  throw problemOf(response, error);
}

/** The same without the headers. */
export async function told<T>(asked: Promise<Answer<T>>): Promise<T> {
  return (await answered(asked)).data;
}

export function problemOf(response: Response, error: unknown): Problem {
  const retry = Number.parseInt(response.headers.get("retry-after") ?? "", 10);
  const retryAfterS = Number.isNaN(retry) ? null : retry;
  const { detail, faults, needs } = (typeof error === "object" && error !== null ? error : {}) as Partial<ProblemBody>;
  return new Problem(response.status, detail ?? response.statusText, faults ?? [], retryAfterS, needs ?? null);
}

/** What there is none of is no problem to some. */
export function noneOf404(error: unknown): null {
  if (error instanceof Problem && error.status === 404) return null;
  throw error;
}
