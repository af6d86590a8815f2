// A supervisor's shift in a real browser: sees a caller get angry, reacts, listens, speaks to the caller, signs out.
//
// node e2e/supervisor.mjs URL USER PASSWORD [--screenshots FOLDER]
// Expects a running server with a call in which the caller gets angry and a policy that raises an alert.
// Prints one line per check; the first that fails ends it with exit code 1.

import { called, expect, stage } from "./stage.mjs";

const { given, folder } = called("supervisor", "URL USER PASSWORD");
const [url, user, password] = given;

/** How long a caller may take to get angry, and everything else, milliseconds. */
const ANGRY_WITHIN_MS = 60_000;
const WITHIN_MS = 15_000;
/** How long a sentence may take to be spoken. */
const SPOKEN_WITHIN_MS = 30_000;
/** Speech is louder than this; a meter at rest shows -96. */
const SPEECH_DBOV = -50;

const { open, check, picture, accessible, fits, signIn, inBothLooks, unbroken, close } = await stage(folder);
const page = await open();
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
    expect(numbers.length > 0, `no number stands in ${told}`);
    return `${told.length} callers, ${numbers.length} numbers`;
  });
  await inBothLooks("wall");
  await check("it works on a tablet", async () => {
    await page.setViewportSize({ width: 820, height: 1180 });
    await fits();
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

async function theHandling() {
  const of = page.locator("[data-test=call-alerts] li").first();
  await check("the alert is taken on the call's page, and everybody is told by whom", async () => {
    await of.locator("[data-test=assign]").click();
    await page.locator("[data-test=call-alerts] li[data-state=assigned]").first().waitFor();
    await page.locator("[data-type=alert_handled]").first().waitFor();
    return (await page.locator("[data-type=alert_handled] span").last().innerText()).trim();
  });
}

async function theAcknowledgement() {
  await check("the alert is acknowledged and gone", async () => {
    const before = await page.locator("[data-test=alert]").count();
    await page.locator("[data-test=acknowledge]").first().click();
    await page.waitForFunction((count) => document.querySelectorAll("[data-test=alert]").length < count, before);
    return `${before - 1} open`;
  });
  await check("the history shows who has handled it, and no storage of this browser does", async () => {
    await page.locator(".options input").last().check();
    await page.locator("[data-test=alert][data-state=acknowledged]").first().waitFor();
    const told = await page.locator("[data-test=alert][data-state=acknowledged] .bar").first().innerText();
    expect(told.includes(user), `found ${told}`);
    const kept = await page.evaluate(() => Object.keys(localStorage).join());
    expect(!kept.includes("alert"), `found ${kept}`);
    await page.locator(".options input").last().uncheck();
    return told;
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
  await unbroken();
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
await theHandling();
await theListening();
await thePrompt();
await page.locator("nav a").first().click();
await theAcknowledgement();
await otherPages();
await theEnd();
await close();
