// The wall with a thousand calls in a real browser: only rows in sight are drawn, however many there are and whatever happens in them.
//
// node e2e/crowd.mjs URL USER PASSWORD COUNT [--screenshots FOLDER]
// Expects a running server with COUNT chats or calls that are up. Says `now: moods` when it is ready to see moods change, and goes on
// at the next line of its standard input. Prints one line per check; the first that fails ends it with exit code 1.

import { createInterface } from "node:readline";
import { called, expect, stage } from "./stage.mjs";

const { given, folder } = called("crowd", "URL USER PASSWORD COUNT");
const [url, user, password, wanted] = given;
const count = Number(wanted);
/** More rows than fit on the screen, and those kept ready around them. */
const DRAWN_MAX = 40;
/** For how long pictures are counted once moods change. */
const LOOKED_MS = 2_000;

const { open, check, picture, signIn, unbroken, close } = await stage(folder, {
  prefix: "crowd",
  withinMs: 60_000,
});
const page = await open();
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const drawn = () => page.locator(".row").count();

/** Counts pictures until `stopPictures`, the longest time between two, and the most rows that any of them had. */
const watchPictures = () =>
  page.evaluate(() => {
    const seen = { pictures: 0, longestMs: 0, rowsMax: 0, began: performance.now(), goes: true };
    globalThis.seenPictures = seen;
    let last = performance.now();
    const look = (now) => {
      seen.pictures += 1;
      seen.longestMs = Math.max(seen.longestMs, now - last);
      seen.rowsMax = Math.max(seen.rowsMax, document.querySelectorAll(".row").length);
      last = now;
      if (seen.goes) requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
  });
const stopPictures = () =>
  page.evaluate(() => {
    const seen = globalThis.seenPictures;
    seen.goes = false;
    const lastedS = (performance.now() - seen.began) / 1_000;
    return { ...seen, perSecond: seen.pictures / lastedS };
  });

await page.goto(url);
await signIn(user, password);
await check(`${count} calls are on the wall, and few are drawn`, async () => {
  await page.locator(`[role=table][aria-rowcount="${count + 1}"]`).waitFor();
  const rows = await drawn();
  expect(rows > 5 && rows <= DRAWN_MAX, `${rows} rows are drawn`);
  return `${rows} rows`;
});
await picture("wall");
await check("the last of them is drawn at the end of the list", async () => {
  await page.locator(".rows").evaluate((list) => list.scrollTo(0, list.scrollHeight));
  await page.locator(`.row[aria-rowindex="${count + 1}"]`).waitFor();
  const rows = await drawn();
  expect(rows <= DRAWN_MAX, `${rows} rows are drawn`);
  await page.locator(".rows").evaluate((list) => list.scrollTo(0, 0));
  return `${rows} rows`;
});
await watchPictures();
console.log("now: moods");
await lines.next();
await check("moods change while it stays so", async () => {
  await page.locator(".row[data-level=high], .row[data-level=medium]").first().waitFor();
  await page.waitForTimeout(LOOKED_MS);
  const { rowsMax, pictures, perSecond, longestMs } = await stopPictures();
  expect(rowsMax <= DRAWN_MAX, `${rowsMax} rows were drawn`);
  return `at most ${rowsMax} rows, ${pictures} pictures, ${perSecond.toFixed(0)} a second, longest ${longestMs.toFixed(0)} ms`;
});
await check("the filter leaves none, or all of them", async () => {
  await page.fill("input[type=search]", "no such queue");
  await page.waitForFunction(() => document.querySelectorAll(".row").length === 0);
  await page.fill("input[type=search]", "chats");
  await page.locator(`[role=table][aria-rowcount="${count + 1}"]`).waitFor();
  expect((await drawn()) <= DRAWN_MAX, `${await drawn()} rows are drawn`);
});
await unbroken();
await close();
process.exit(0);
