// Where in a policy's text a fault is: the server names keys, e.g. `rule[2].when.level`, or a line when it is no TOML.

/** The line of a fault, from 1; null when it cannot be told, e.g. because the key is missing. */
export function faultLine(text: string, key: string): number | null {
  const told = /^line (\d+)/.exec(key);
  if (told !== null) return Number(told[1]);
  const lines = text.split("\n");
  const steps = key.split(".").map((step) => /^([^[]+)(?:\[(\d+)\])?$/.exec(step));
  const [first, ...rest] = steps;
  if (!first) return null;
  const [, name = "", at] = first;
  const table = new RegExp(`^\\s*\\[\\[${escaped(name)}\\]\\]`);
  let line = at === undefined ? find(lines, name, 0, lines.length) : nth(lines, table, Number(at));
  if (line === null) return null;
  const end = next(lines, line + 1);
  for (const step of rest) line = find(lines, step?.[1] ?? "", line, end) ?? line;
  return line + 1;
}

/** The line, from 0, in which a pattern fits for the `count`th time. */
function nth(lines: string[], pattern: RegExp, count: number): number | null {
  let seen = 0;
  const line = lines.findIndex((text) => {
    if (pattern.test(text)) seen += 1;
    return seen === count;
  });
  return count > 0 && line >= 0 ? line : null;
}

/** The first line from `from` on that sets a key. */
function find(lines: string[], key: string, from: number, end: number): number | null {
  const pattern = new RegExp(`(^|[\\s{,[."])${escaped(key)}"?\\s*(=|\\.|\\])`);
  const line = lines.findIndex((text, at) => at >= from && at < end && pattern.test(text));
  return line >= 0 ? line : null;
}

/** Where the next table begins. */
function next(lines: string[], from: number): number {
  const line = lines.findIndex((text, at) => at >= from && /^\s*\[\[/.test(text));
  return line >= 0 ? line : lines.length;
}

const escaped = (name: string) => name.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
