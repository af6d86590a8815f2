// A supervisor's shift in a real browser: sees a caller get angry, reacts, listens, speaks to the caller, signs out.
//
// node e2e/supervisor.mjs URL USER PASSWORD [--screenshots FOLDER]
// The browser is Chromium, where Debian has it, or what CALMLINE_BROWSER names.
// Expects a running server with a call in which the caller gets angry and a policy that raises an alert.
// Prints one line per check; the first that fails ends it with exit code 1.

import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { parseArgs } from "node:util";
import { chromium } from "playwright-core";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { screenshots: { type: "string" } },
});
const [url, user, password] = positionals;
if (password === undefined) {
  console.error("usage: node e2e/supervisor.mjs URL USER PASSWORD [--screenshots FOLDER]");
  process.exit(2);
}

/** How long a caller may take to get angry, and everything else, milliseconds. */
const ANGRY_WITHIN_MS = 60_000;
const WITHIN_MS = 15_000;
/** How long a sentence may take to be spoken. */
const SPOKEN_WITHIN_MS = 30_000;
/** Speech is louder than this; a meter at rest shows -96. */
const SPEECH_DBOV = -50;
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

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
  ],
});
const context = await browser.newContext({ locale: "zh-CN", viewport: { width: 1280, height: 800 } });
const page = await context.newPage();
page.setDefaultTimeout(WITHIN_MS);
const faults = [];
page.on("pageerror", (error) => faults.push(String(error)));
page.on("console", (message) => {
  if (/Content Security Policy/i.test(message.text())) faults.push(message.text());
});

async function check(what, act) {
  try {
    const seen = await act();
    console.log(`ok: ${what}${seen === undefined ? "" : ` (${String(seen).replace(/\s+/g, " ").trim()})`}`);
  } catch (error) {
    console.log(
      `failed: ${what}: ${String(error.message ?? error)
        .split("\n")
        .slice(0, 4)
        .join(" ")}`,
    );
    await picture("failed").catch(() => {});
    await browser.close();
    process.exit(1);
  }
}

async function picture(name) {
  if (values.screenshots === undefined) return;
  mkdirSync(values.screenshots, { recursive: true });
  await page.screenshot({ path: `${values.screenshots}/console-${name}.png` });
}

function expect(holds, otherwise) {
  if (!holds) throw new Error(otherwise);
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

const choose = (name, value) => page.locator(`[data-test=${name}]`).selectOption(value);
const listen = page.locator("[data-test=listen]");
const levels = async () => ({
  caller: Number(await listen.getAttribute("data-level-caller")),
  callee: Number(await listen.getAttribute("data-level-callee")),
});

/** The loudest that both sides were within some seconds; ends as soon as they were loud enough. */
async function loudest(enough) {
  const most = { caller: -96, callee: -96 };
  const until = Date.now() + WITHIN_MS;
  while (Date.now() < until && !enough(most)) {
    const { caller, callee } = await levels();
    most.caller = Math.max(most.caller, caller);
    most.callee = Math.max(most.callee, callee);
    await page.waitForTimeout(50);
  }
  return most;
}

async function signIn(as, word) {
  await page.fill("input[name=user]", as);
  await page.fill("input[name=password]", word);
  await page.click("button[type=submit]");
}

async function inBothLooks(view) {
  for (const language of ["zh", "en"]) {
    for (const theme of ["light", "dark"]) {
      await choose("language", language);
      await choose("theme", theme);
      await check(`${view} is accessible in ${language}, ${theme}`, accessible);
      await picture(`${view}-${language}-${theme}`);
    }
  }
  await choose("language", "zh");
  await choose("theme", "light");
}

/** Callers' numbers that the wall has shown. */
let numbers = [];

async function theWall() {
  await check("the wall is live", async () => {
    await page.locator(".feed.open").waitFor();
  });
  await check("a caller gets angry", async () => {
    await page.locator(".row[data-level=high]").first().waitFor({ timeout: ANGRY_WITHIN_MS });
    return await page.locator(".row[data-level=high] .badge.high").first().innerText();
  });
  await check("an alert is shown", async () => {
    await page.locator("[data-test=alert]").first().waitFor();
    return (await page.locator("[data-test=alert] p").first().innerText()).trim();
  });
  await check("callers are shown by name or number", async () => {
    const told = await page.locator(".row [role=rowheader]").allInnerTexts();
    numbers = [...new Set(told.flatMap((text) => text.match(/\d{5,}/g) ?? []))];
    return `${told.length} callers`;
  });
  await inBothLooks("wall");
  await check("it works on a tablet", async () => {
    await page.setViewportSize({ width: 820, height: 1180 });
    const wider = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    expect(wider <= 0, `the page is ${wider} px wider than the screen`);
    await picture("wall-tablet");
    await page.setViewportSize({ width: 1280, height: 800 });
  });
}

async function theAlert() {
  await check("the alert's call opens", async () => {
    await page.locator("[data-test=alert] button").first().click();
    await page.locator("[data-test=listen]").waitFor();
    await page.locator("[data-type=decided]").first().waitFor();
    return (await page.locator("[data-type=decided] span").last().innerText()).trim();
  });
}

async function theAcknowledgement() {
  await check("the alert is acknowledged and gone", async () => {
    const before = await page.locator("[data-test=alert]").count();
    await page.locator("[data-test=acknowledge]").first().click();
    await page.waitForFunction((count) => document.querySelectorAll("[data-test=alert]").length < count, before);
    return `${before - 1} open`;
  });
}

async function theListening() {
  await check("nothing is heard before listening", async () => {
    const { caller, callee } = await levels();
    expect(caller === -96 && callee === -96, `levels are ${caller} and ${callee} dBov`);
  });
  await page.locator("[data-test=listen-toggle]").click();
  await check("the caller is heard", async () => {
    const { caller } = await loudest((most) => most.caller > SPEECH_DBOV);
    expect(caller > SPEECH_DBOV, `the loudest was ${caller} dBov, expected more than ${SPEECH_DBOV}`);
    return `${caller} dBov`;
  });
}

async function thePrompt() {
  const words = "非常抱歉，请您稍等。";
  const row = page.locator("[data-test=prompt]").filter({ hasText: words }).first();
  await check("words are spoken to the caller", async () => {
    await page.fill("[data-test=say-text]", words);
    await page.locator("[data-test=say]").click();
    await page.locator("[data-test=confirm]").click();
    await row.waitFor();
  });
  await check("what the caller hears is heard", async () => {
    const { callee } = await loudest((most) => most.callee > SPEECH_DBOV);
    expect(callee > SPEECH_DBOV, `the loudest was ${callee} dBov, expected more than ${SPEECH_DBOV}`);
    return `${callee} dBov`;
  });
  await check("the words are heard to the end", async () => {
    await row.and(page.locator("[data-outcome=completed]")).waitFor({ timeout: SPOKEN_WITHIN_MS });
    return await row.innerText();
  });
  await inBothLooks("call");
  await check("listening stops at once", async () => {
    await page.locator("[data-test=listen-toggle]").click();
    await page.locator("[data-test=listen][data-state=silent]").waitFor();
    const { caller, callee } = await levels();
    expect(caller === -96 && callee === -96, `levels are ${caller} and ${callee} dBov`);
  });
}

async function otherPages() {
  for (const view of ["reports", "operations"]) {
    if ((await page.locator(`nav a[href="#/${view}"]`).count()) === 0) continue;
    await check(`${view} open`, async () => {
      await page.locator(`nav a[href="#/${view}"]`).click();
      await page.locator(`[data-test=${view}][data-loaded=true]`).waitFor();
    });
    await inBothLooks(view);
  }
  await check("the help opens by its key", async () => {
    await page.keyboard.press("?");
    await page.locator("[role=dialog]").waitFor();
    await accessible();
    await picture("help");
    await page.keyboard.press("Escape");
    await page.locator("[role=dialog]").waitFor({ state: "detached" });
  });
}

async function theEnd() {
  await check("no caller's number stands in this browser's storage, address or title", async () => {
    const kept = await page.evaluate(
      () => JSON.stringify({ ...localStorage, ...sessionStorage }) + location.href + document.title,
    );
    const found = numbers.filter((number) => kept.includes(number));
    expect(found.length === 0, `${found.length} of ${numbers.length} numbers found`);
    return `${numbers.length} numbers looked for`;
  });
  await check("signing out leads back to the sign-in, with a word", async () => {
    await page.locator("[data-test=sign-out]").click();
    return await page.locator("[data-test=reason]").innerText();
  });
  await check("the API refuses afterwards", async () => {
    const status = await page.evaluate(async () => (await fetch("/v1/calls")).status);
    expect(status === 401, `found ${status}, expected 401`);
  });
  await check("nothing broke, and nothing asked for more than the page's policy allows", async () => {
    expect(faults.length === 0, faults.join("; "));
  });
}

await page.goto(url);
await check("the sign-in is accessible", async () => {
  await page.locator("input[name=user]").waitFor();
  await picture("sign-in");
  return await accessible();
});
await check("a wrong password is refused", async () => {
  await signIn(user, `${password}, but wrong`);
  return await page.locator(".problem").innerText();
});
await check("the right one is not", async () => {
  await signIn(user, password);
  await page.locator("[data-test=sign-out]").waitFor();
});
await theWall();
await theAlert();
await theListening();
await thePrompt();
await page.locator("nav a").first().click();
await theAcknowledgement();
await otherPages();
await theEnd();
await browser.close();
