// Tells how much a browser has to load before the first page shows, and fails when that is too much.

import { readdirSync, readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const LIMIT_BYTES = 300 * 1024;
const dist = new URL("../dist/", import.meta.url);

const compressed = (path) => gzipSync(readFileSync(new URL(path, dist)), { level: 9 }).length;
const page = readFileSync(new URL("index.html", dist), "utf8");
const named = [...page.matchAll(/(?:src|href)="\.\/(assets\/[^"]+)"/g)].map(([, path]) => path);

const first = ["index.html", ...named].reduce((sum, path) => sum + compressed(path), 0);
const all = readdirSync(new URL("assets/", dist)).reduce((sum, name) => sum + compressed(`assets/${name}`), 0);
const kib = (bytes) => `${(bytes / 1024).toFixed(1)} KiB`;
console.log(`first load ${kib(first)} compressed, at most ${kib(LIMIT_BYTES)}; everything ${kib(all)}`);
if (named.length === 0 || first > LIMIT_BYTES) {
  console.error("the first load is too large, or index.html names no assets");
  process.exit(1);
}
