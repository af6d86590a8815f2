// An operator at work in a real browser: signs in with a second factor, breaks a policy, mends it, puts it in force, goes back.
//
// node e2e/operator.mjs URL USER PASSWORD SECRET [--screenshots FOLDER]
// SECRET is the user's, base32, as `calmline user totp` writes it. Expects a running server with one policy, version 3.
// Prints one line per check; the first that fails ends it with exit code 1.

import { createHmac } from "node:crypto";
import { called, expect, stage } from "./stage.mjs";

const { given, folder } = called("operator", "URL USER PASSWORD SECRET");
const [url, user, password, secret] = given;
const { open, check, picture, accessible, signIn, inBothLooks, unbroken, close } = await stage(folder);
const page = await open();
const shown = (name) => page.locator(`[data-test=${name}]`);

/** The code of an authenticator app now (RFC 6238). */
function code() {
  const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  const bits = [...secret.trim()].map((letter) => letters.indexOf(letter).toString(2).padStart(5, "0")).join("");
  const key = Buffer.from(bits.match(/.{8}/g).map((octet) => Number.parseInt(octet, 2)));
  const step = Buffer.alloc(8);
  step.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000)));
  const mac = createHmac("sha1", key).update(step).digest();
  const at = mac[19] & 15;
  return String((mac.readUInt32BE(at) & 0x7fffffff) % 1_000_000).padStart(6, "0");
}

async function theSignIn() {
  await page.goto(url);
  await signIn(user, password);
  await check("a code is asked for after the password", async () => {
    await page.locator("input[name=code]").waitFor();
    await picture("sign-in-code");
    return accessible();
  });
  await check("a wrong code is refused", async () => {
    await page.fill("input[name=code]", "000000");
    await page.click("button[type=submit]");
    return page.locator("[role=alert]").innerText();
  });
  await check("the right code lets in", async () => {
    await page.fill("input[name=code]", code());
    await page.click("button[type=submit]");
    await page.locator("nav").waitFor();
    const links = await page.locator("nav a").allInnerTexts();
    expect(links.length === 4, `an operator sees ${links}`);
    return links.join(", ");
  });
}

async function thePolicies() {
  await page.goto(`${url}/#/policies`);
  await page.locator("[data-test=policies][data-loaded=true]").waitFor();
  const text = shown("policy-text");
  const before = await text.inputValue();
  await check("the draft begins as what is in force", async () => {
    await shown("no-difference").waitFor();
    expect(await shown("policy-activate").isDisabled(), "what is in force could be put in force");
  });
  await inBothLooks("policies");
  await check("a fault stands at its line", async () => {
    await text.fill(before.replace('"high"', '"loud"'));
    await shown("policy-check").click();
    await shown("policy-faults").waitFor();
    await shown("policy-faults").locator("button").first().click();
    const chosen = await text.evaluate((area) => area.value.slice(area.selectionStart, area.selectionEnd));
    expect(chosen.includes("loud"), `the cursor is in ${chosen}`);
    await picture("policies-fault");
    return `${await shown("policy-faults").innerText()}; ${await accessible()}`;
  });
  await check("what is broken is not put in force", async () => {
    await shown("policy-activate").click();
    await shown("confirm").click();
    await shown("policy-faults").waitFor();
  });
  await check("what is mended shows what it changes", async () => {
    await text.fill(before.replace("version = 3", "version = 4"));
    await shown("policy-check").click();
    await shown("policy-good").waitFor();
    const lines = await shown("difference").locator(".added, .removed").count();
    expect(lines === 2, `${lines} lines changed`);
    return shown("policy-good").innerText();
  });
  await check("it is tried on yesterday's calls", async () => {
    await shown("policy-try").click();
    await shown("trial").waitFor();
    return shown("trial").innerText();
  });
  await picture("policies-draft");
  await check("it is put in force", async () => {
    await shown("policy-activate").click();
    await shown("confirm").click();
    await shown("policy-done").waitFor();
    await shown("no-difference").waitFor();
    const done = await shown("policy-done").innerText();
    expect(done.includes("@4"), done);
    return done;
  });
  await check("a step back leads to the one before, and the file stays", async () => {
    await shown("policies-back").click();
    await shown("confirm").click();
    await shown("difference").waitFor();
    const chosen = await shown("policy-file").locator("option:checked").innerText();
    expect(chosen.includes("@3"), chosen);
    return chosen;
  });
}

async function theServer() {
  await page.goto(`${url}/#/operations`);
  await page.locator("[data-test=operations][data-loaded=true]").waitFor();
  await check("the models are shown", async () => shown("models").innerText());
  await inBothLooks("operations");
}

await theSignIn();
await thePolicies();
await theServer();
await unbroken();
await close();
