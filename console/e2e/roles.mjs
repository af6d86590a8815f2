// Everybody at work in a real browser: each role sees what it may and is refused the rest; the agent's page beside an angry caller;
// a transfer; a library changed and taken back; a report downloaded; the audit trail searched; a user made and shut out.
//
// node e2e/roles.mjs URL PASSWORD [--screenshots FOLDER]
// Expects a running server with a user of each role, called `the-ROLE`, the agent at the target `bot`, where an angry caller is,
// a target `human` who answers, a [store], and the shipped knowledge in a folder of its own.
// Prints one line per check; the first that fails ends it with exit code 1.

import { readFileSync } from "node:fs";
import { called, expect, stage } from "./stage.mjs";

const { given, folder } = called("roles", "URL PASSWORD");
const [url, password] = given;
/** How long a caller may take to get angry, milliseconds. */
const ANGRY_WITHIN_MS = 60_000;

/** Every page, and an address that shows what it shows. */
const today = new Date().toISOString().slice(0, 10);
const PAGES = {
  "#/": "/v1/calls",
  "#/agent": "/v1/own/calls",
  "#/reports": `/v1/reports/${today}`,
  "#/policies": "/v1/policies",
  "#/libraries": "/v1/libraries",
  "#/operations": "/v1/models",
  "#/users": "/v1/users",
  "#/audit": "/v1/audit",
};
const MAY = {
  administrator: Object.keys(PAGES).filter((page) => page !== "#/agent"),
  supervisor: ["#/"],
  operator: ["#/reports", "#/policies", "#/libraries", "#/operations"],
  agent: ["#/agent"],
  auditor: ["#/audit"],
};
/** What is ordered, and who may. */
const ORDERS = [
  ["POST", "/v1/calls/none/hangup", ["administrator", "supervisor"]],
  ["POST", "/v1/calls/none/move", ["administrator", "supervisor"]],
  ["GET", "/v1/calls/none/audio", ["administrator", "supervisor"]],
  ["POST", "/v1/policies/back", ["administrator", "operator"]],
  ["PUT", "/v1/libraries/knowledge/none", ["administrator", "operator"]],
  ["POST", "/v1/drain", ["administrator", "operator"]],
  ["POST", "/v1/users", ["administrator"]],
  ["POST", "/v1/people/erase", ["administrator"]],
  ["POST", "/v1/audit/verify", ["administrator", "auditor"]],
];

const { open, check, picture, accessible, fits, signIn, inBothLooks, unbroken, close } = await stage(folder, {
  prefix: "roles",
});

/** Signs somebody in in a browser of their own. */
async function enter(role, name = `the-${role}`, secret = password) {
  const page = await open();
  await page.goto(url);
  await signIn(name, secret);
  await page.locator("[data-test=sign-out]").waitFor();
  return page;
}

const statusOf = (page, method, path) =>
  page.evaluate(
    async ([how, where]) => (await fetch(where, { method: how, headers: { "x-calmline-console": "1" } })).status,
    [method, path],
  );

async function whatTheyMay(page, role) {
  await check(`${role} sees the pages that are theirs`, async () => {
    const links = await page.locator("nav a").evaluateAll((all) => all.map((link) => link.getAttribute("href")));
    expect(links.join() === MAY[role].join(), `found ${links}, expected ${MAY[role]}`);
    return links.join(" ");
  });
  await check(`${role} is answered what is theirs, and refused the rest`, async () => {
    for (const [at, path] of Object.entries(PAGES)) {
      const [status, expected] = [await statusOf(page, "GET", path), MAY[role].includes(at) ? 200 : 403];
      expect(status === expected, `GET ${path}: found ${status}, expected ${expected}`);
    }
    const refused = ORDERS.filter(([, , who]) => !who.includes(role));
    for (const [method, path] of refused) {
      const status = await statusOf(page, method, path);
      expect(status === 403, `${method} ${path}: found ${status}, expected 403`);
    }
    return `${refused.length} of ${ORDERS.length} orders refused`;
  });
  await check(`${role} is led away from pages of others`, async () => {
    for (const at of Object.keys(PAGES).filter((each) => !MAY[role].includes(each))) {
      await page.goto(`${url}/${at}`);
      await page.waitForFunction((theirs) => theirs.includes(location.hash), MAY[role]);
    }
  });
}

async function theAgent() {
  const page = await enter("agent");
  await check("the agent sees the own call become angry, as it does", async () => {
    await page.locator("[data-test=own-call][data-level=high]").waitFor({ timeout: ANGRY_WITHIN_MS });
    return page.locator("[data-test=own-call] .badge").innerText();
  });
  await check("the script for that is suggested", () => page.locator("[data-test=own-script]").innerText());
  await check("the library answers the agent", async () => {
    await page.fill("[data-test=knowledge-text]", "退款多久到账");
    await page.locator("[data-test=knowledge-search]").click();
    await page.locator("[data-test=knowledge-found] article").first().waitFor();
    return page.locator("[data-test=knowledge-found] h3").first().innerText();
  });
  await inBothLooks("agent");
  await check("no number of a caller stands in what the agent is told", async () => {
    const told = await page.evaluate(async () => (await fetch("/v1/own/calls")).text());
    expect(!/\d{11}/.test(told) && !told.includes("sip:"), told);
  });
  await whatTheyMay(page, "agent");
  await page.setViewportSize({ width: 380, height: 760 });
  await page.goto(`${url}/agent`);
  await check("the agents' page stands alone, and is narrow", async () => {
    await page.locator("[data-test=own-call]").waitFor();
    expect((await page.locator("nav").count()) === 0, "there are links to other pages");
    await fits();
    await picture("agent-panel");
    return accessible();
  });
  await check("pages that are not named show it in no frame", async () => {
    const { "content-security-policy": policy } = (await page.request.get(`${url}/agent`)).headers();
    expect(policy.includes("frame-ancestors 'none'"), policy);
  });
}

async function theSupervisor() {
  const page = await enter("supervisor");
  await whatTheyMay(page, "supervisor");
  await page.goto(`${url}/#/`);
  await check("the quality of the call is shown while it is up", async () => {
    const cell = page.locator(".row [role=cell]").last();
    await page.waitForFunction((shown) => /\d%/.test(shown?.textContent ?? ""), await cell.elementHandle());
    return cell.innerText();
  });
  await check("an alert is given to somebody else, by keys alone", async () => {
    await page.locator("[data-test=alert] [data-test=give]").first().focus();
    await page.keyboard.press("Enter");
    await page.locator("[data-test=give-to]").first().waitFor();
    await accessible();
    await picture("alert-give");
    const names = await page.locator("[data-test=give-to]").allInnerTexts();
    expect(names.join() === "the-administrator", `found ${names}, expected who else sees the call`);
    await page.keyboard.press("ArrowDown");
    await page.locator("[data-test=give-to][data-highlighted]").waitFor();
    await page.keyboard.press("Enter");
    await page.locator(".options input").last().check();
    await page.locator("[data-test=alert][data-state=assigned]").first().waitFor();
    return page.locator("[data-test=alert][data-state=assigned] .bar").first().innerText();
  });
  await page.locator(".row a").first().click();
  await check("a supervisor transfers the caller with one click", async () => {
    await page.locator("[data-test=move-target]").selectOption("human");
    await page.fill("[data-test=move-priority]", "7");
    await picture("call-transfer");
    await page.locator("[data-test=move-go]").click();
    await page.locator("[data-type=rerouted]").first().waitFor();
    return page.locator("[data-type=rerouted] span").last().innerText();
  });
}

async function theOperator() {
  const page = await enter("operator");
  await whatTheyMay(page, "operator");
  await page.goto(`${url}/#/libraries`);
  await page.locator("[data-test=libraries][data-loaded=true]").waitFor();
  const text = page.locator("[data-test=policy-text]");
  const before = await text.inputValue();
  expect(before.includes("[[entry]]"), `the library says ${before.slice(0, 80)}`);
  await inBothLooks("libraries");
  await check("what is broken is told at its line, and not saved", async () => {
    await text.fill(before.replace("[[entry]]", "[[entry]]\nwrong = 1"));
    await page.locator("[data-test=library-save]").click();
    await page.locator("[data-test=confirm]").click();
    return page.locator("[data-test=policy-faults]").innerText();
  });
  await check("a change is shown, saved and in force", async () => {
    await text.fill(`${before}\n# Looked through.\n`);
    await page.locator("[data-test=library-check]").click();
    await page.locator("[data-test=library-good]").waitFor();
    await page.locator("[data-test=difference] .added").first().waitFor();
    await picture("libraries-draft");
    await page.locator("[data-test=library-save]").click();
    await page.locator("[data-test=confirm]").click();
    await page.locator("[data-test=no-difference]").waitFor();
    return page.locator("[data-test=library-done]").innerText();
  });
  await check("a step back leads to what was", async () => {
    await page.locator("[data-test=library-back]").click();
    await page.locator("[data-test=confirm]").click();
    await page.waitForFunction((was) => document.querySelector("[data-test=policy-text]")?.value === was, before);
    return page.locator("[data-test=library-done]").innerText();
  });
  await check("every kind of library is shown", async () => {
    for (const kind of ["lexicons", "phrases", "compliance"]) {
      await page.locator(`[data-test=kind-${kind}]`).click();
      await page.locator(`[data-test=kind-${kind}][aria-pressed=true]:enabled`).waitFor();
    }
    return `${await page.locator("[data-test=library-file]").count()} compliance lists`;
  });
  await check("operations tell how much the node has to do", async () => {
    await page.goto(`${url}/#/operations`);
    await page.locator("[data-test=node] [data-test=load]").waitFor();
    await page.locator("[data-test=node] .bar-line").nth(4).waitFor();
    await accessible();
    return page.locator("[data-test=node]").innerText();
  });
  await theReports(page);
}

async function theReports(page) {
  await page.goto(`${url}/#/reports`);
  await page.locator("[data-test=reports][data-loaded=true]").waitFor();
  await inBothLooks("reports");
  await check("a report is downloaded", async () => {
    const seen = [];
    const isOf = {
      csv: (bytes) => bytes.toString().includes(",calls,"),
      xlsx: (bytes) => bytes.toString("latin1", 0, 2) === "PK",
    };
    for (const [format, fits] of Object.entries(isOf)) {
      const [download] = await Promise.all([
        page.waitForEvent("download"),
        page.locator(`[data-test=download-${format}]`).click(),
      ]);
      const bytes = readFileSync(await download.path());
      expect(fits(bytes), `${format}: ${bytes.length} bytes, ${bytes.subarray(0, 60)}`);
      seen.push(`${download.suggestedFilename()}: ${bytes.length} bytes`);
    }
    return seen.join(", ");
  });
  await check("weeks and months are shown, too", async () => {
    for (const period of ["week", "month"]) {
      await page.locator(`[data-test=period-${period}]`).click();
      await page.locator(`[data-test=period-${period}][aria-pressed=true]`).waitFor();
      await page.locator("[data-test=reports][data-loaded=true]").waitFor();
      expect((await page.locator("[data-test=reports] .problem").count()) === 0, "there is a problem");
    }
  });
}

async function theAuditor() {
  const page = await enter("auditor");
  await whatTheyMay(page, "auditor");
  await page.goto(`${url}/#/audit`);
  await page.locator("[data-test=audit][data-loaded=true]").waitFor();
  await check("the trail is searched", async () => {
    await page.fill("[data-test=audit-who]", "the-agent");
    await page.fill("[data-test=audit-kind]", "signed_in");
    await page.locator("[data-test=audit-search]").click();
    await page.waitForFunction(() => {
      const found = [...document.querySelectorAll("[data-test=audit-entry]")];
      return found.length > 0 && found.every((entry) => entry.getAttribute("data-kind") === "signed_in");
    });
    return page.locator("[data-test=audit-entry]").first().innerText();
  });
  await check("the trail is found whole", async () => {
    await page.locator("[data-test=audit-verify]").click();
    await page.locator("[data-test=audit-check][data-state=done]").waitFor();
    return page.locator("[data-test=audit-check] .good").innerText();
  });
  await inBothLooks("audit");
}

async function theAdministrator() {
  const page = await enter("administrator");
  await whatTheyMay(page, "administrator");
  await page.goto(`${url}/#/users`);
  await page.locator("[data-test=users][data-loaded=true]").waitFor();
  const row = page.locator("[data-test=user][data-user=chen]");
  let secret = "";
  await check("a user is made, by a password that is shown once", async () => {
    await page.locator("[data-test=user-new]").click();
    await page.fill("[data-test=user-name]", "chen");
    await page.locator("[data-test=user-role]").selectOption("auditor");
    await page.locator("[data-test=user-second-factor]").uncheck();
    await page.locator("[data-test=user-save]").click();
    secret = await page.locator("[data-test=user-password-shown]").innerText();
    await row.waitFor();
    expect(secret.length === 20, `a password of ${secret.length} letters`);
  });
  await page.locator("[data-test=user-secrets-close]").click();
  await inBothLooks("users");
  await check("it works on a tablet", async () => {
    await page.setViewportSize({ width: 820, height: 1180 });
    for (const at of ["users", "libraries", "audit", "reports"]) {
      await page.goto(`${url}/#/${at}`);
      await page.locator(`[data-test=${at}][data-loaded=true]`).waitFor();
      await fits();
      await accessible();
      await picture(`${at}-tablet`);
    }
    await page.setViewportSize({ width: 1280, height: 800 });
  });
  const chens = await enter("auditor", "chen", secret);
  await check("people change their own password, by the one that counts", async () => {
    await chens.locator("[data-test=own-password]").click();
    for (const [current, problems] of [
      ["not the password", 1],
      [secret, 0],
    ]) {
      await chens.fill("input[name=current]", current);
      for (const name of ["other", "again"]) await chens.fill(`input[name=${name}]`, "quite another one");
      await chens.locator("[data-test=password-submit]").click();
      await chens.locator(problems > 0 ? "[data-test=password-problem]" : "[data-test=password-done]").waitFor();
    }
    await chens.keyboard.press("Escape");
    expect((await statusOf(chens, "GET", "/v1/audit")) === 200, "the new session counts");
  });
  await check("who is shut out is out at once", async () => {
    expect((await statusOf(chens, "GET", "/v1/audit")) === 200, "chen is not let in");
    await page.goto(`${url}/#/users`);
    await row.locator("[data-test=user-disable]").click();
    await page.locator("[data-test=confirm]").click();
    await row.locator(".off").waitFor();
    const status = await statusOf(chens, "GET", "/v1/audit");
    expect(status === 401, `found ${status}, expected 401`);
  });
}

await theAgent();
await theSupervisor();
await theOperator();
await theAuditor();
await theAdministrator();
await unbroken();
await close();
