// What went wrong, in words. The server's own sentence is shown as it comes.

import { Problem } from "../api/client";
import type { Texts } from "./zh";

export function problemText(t: Texts, error: unknown): string {
  if (!(error instanceof Problem)) return t.problem.failed(String(error));
  return error.status === 0 && error.detail === "" ? t.problem.network : t.problem.failed(error.detail);
}
