// What every walk through the console in a real browser stands on: the browser, checks that say what they saw, pictures.
//
// The browser is Chromium, where Debian has it, or what CALMLINE_BROWSER names.

import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { parseArgs } from "node:util";
import { chromium } from "playwright-core";

/** How long anything may take, milliseconds. */
const WITHIN_MS = 15_000;
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** A browser, its pages and what is done with the one opened last; pictures are `folder`/`prefix`-NAME.png, when there is one. */
export async function stage(folder, { args = [], prefix = "console", withinMs = WITHIN_MS } = {}) {
  const browser = await chromium.launch({
    executablePath: process.env.CALMLINE_BROWSER ?? "/usr/bin/chromium",
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      ...args,
    ],
  });
  const faults = [];
  let page = null;

  /** A page in a context of its own. */
  async function open(more = {}) {
    const context = await browser.newContext({ locale: "zh-CN", viewport: { width: 1280, height: 800 }, ...more });
    page = await context.newPage();
    page.setDefaultTimeout(withinMs);
    page.on("pageerror", (error) => faults.push(String(error)));
    page.on("console", (message) => {
      if (/Content Security Policy/i.test(message.text())) faults.push(message.text());
    });
    return page;
  }

  async function signIn(user, password) {
    await page.fill("input[name=user]", user);
    await page.fill("input[name=password]", password);
    await page.click("button[type=submit]");
  }

  async function picture(name) {
    if (folder === undefined) return;
    mkdirSync(folder, { recursive: true });
    await page.screenshot({ path: `${folder}/${prefix}-${name}.png` });
  }

  async function check(what, act) {
    try {
      const seen = await act();
      console.log(`ok: ${what}${seen === undefined ? "" : ` (${String(seen).replace(/\s+/g, " ").trim()})`}`);
    } catch (error) {
      const why = String(error.message ?? error).split("\n");
      console.log(`failed: ${what}: ${why.slice(0, 4).join(" ")}`);
      await picture("failed").catch(() => {});
      await browser.close();
      process.exit(1);
    }
  }

  /** No serious finding of axe on what is shown now. */
  async function accessible() {
    await page.evaluate(axe);
    const { violations } = await page.evaluate(() => globalThis.axe.run({ resultTypes: ["violations"] }));
    const serious = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
    const told = serious.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 120)).join(" | ")}`);
    expect(serious.length === 0, told.join("; "));
    return `lesser findings: ${violations.map(({ id }) => id).join(", ") || "none"}`;
  }

  /** Nothing stands beyond the right edge of the screen. */
  async function fits() {
    const wider = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    expect(wider <= 0, `the page is ${wider} px wider than the screen`);
  }

  const choose = (name, value) => page.locator(`[data-test=${name}]`).selectOption(value);

  async function inBothLooks(view) {
    for (const language of ["zh", "en"]) {
      for (const theme of ["light", "dark"]) {
        await choose("language", language);
        await choose("theme", theme);
        await check(`${view} is accessible and fits in ${language}, ${theme}`, async () => {
          await fits();
          return accessible();
        });
        await picture(`${view}-${language}-${theme}`);
      }
    }
    await choose("language", "zh");
    await choose("theme", "light");
  }

  const unbroken = () =>
    check("nothing broke, and nothing asked for more than the page's policy allows", () =>
      expect(faults.length === 0, faults.join("; ")),
    );

  return { open, check, picture, accessible, fits, signIn, inBothLooks, unbroken, close: () => browser.close() };
}

/** What a walk was called with, by what it needs, and the folder for pictures; without all of it, it ends and says its usage. */
export function called(walk, needs) {
  const { values, positionals } = parseArgs({ allowPositionals: true, options: { screenshots: { type: "string" } } });
  if (positionals.length < needs.split(" ").length) {
    console.error(`usage: node e2e/${walk}.mjs ${needs} [--screenshots FOLDER]`);
    process.exit(2);
  }
  return { given: positionals, folder: values.screenshots };
}

export function expect(holds, otherwise) {
  if (!holds) throw new Error(otherwise);
}
