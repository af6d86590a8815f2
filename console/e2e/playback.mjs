// A supervisor plays a call that is over in a real browser: by mouse and by keys, on the call's timeline, and what sounds is measured.
//
// node e2e/playback.mjs URL USER PASSWORD CALL CALLEE_HZ [--screenshots FOLDER]
// Expects a running server with an ended call of some seconds whose audio is kept: the caller speaks, the callee sings a tone.
// Prints one line per check; the first that fails ends it with exit code 1.

import { called, expect, stage } from "./stage.mjs";

const { given, folder } = called("playback", "URL USER PASSWORD CALL CALLEE_HZ");
const [url, user, password, call, calleeHz] = given;
const args = ["--autoplay-policy=no-user-gesture-required"];
const { open, check, picture, signIn, inBothLooks, unbroken, close } = await stage(folder, { args });
/** How often it is listened for a quarter of a second. */
const LOOKS = 16;
const page = await open();
let asked = 0;
page.on("request", (request) => {
  if (new URL(request.url()).pathname.endsWith("/playback.wav")) asked += 1;
});
const panel = page.locator("[data-test=playback]");
const placeS = async () => Number(await panel.getAttribute("data-place"));
const isPlaying = async () => (await panel.getAttribute("data-playing")) === "true";

async function until(what, holds) {
  const end = Date.now() + 10_000;
  while (!(await holds())) {
    expect(Date.now() < end, `not so within 10 s: ${what}`);
    await page.waitForTimeout(50);
  }
}

/** On either channel of what the page plays: how loud the callee's tone is, and the loudest of all, dB. */
async function levels() {
  return page.evaluate(async (hz) => {
    const element = document.querySelector("[data-test=playback] audio");
    globalThis.ear ??= (() => {
      const context = new AudioContext();
      const splitter = context.createChannelSplitter(2);
      const source = context.createMediaElementSource(element);
      source.connect(splitter);
      source.connect(context.destination);
      const channels = [0, 1].map((channel) => {
        const analyser = context.createAnalyser();
        analyser.fftSize = 8192;
        splitter.connect(analyser, channel);
        return analyser;
      });
      return { context, channels };
    })();
    const { context, channels } = globalThis.ear;
    await context.resume();
    await new Promise((done) => setTimeout(done, 250));
    return channels.map((analyser) => {
      const bins = new Float32Array(analyser.frequencyBinCount);
      analyser.getFloatFrequencyData(bins);
      const bin = Math.round((hz * analyser.fftSize) / context.sampleRate);
      return { tone: Math.max(...bins.slice(bin - 2, bin + 3)), loudest: Math.max(...bins) };
    });
  }, Number(calleeHz));
}

await page.goto(url);
await signIn(user, password);
await page.locator("nav").waitFor();
await page.goto(`${url}/#/calls/${call}`);
await check("the player is there once the audio is", async () => {
  await panel.waitFor();
  return panel.innerText();
});
await inBothLooks("playback");
await check("nobody has played it yet, at any place", async () => {
  await page.keyboard.press("]");
  await until("it is later", async () => (await placeS()) > 0);
  await page.keyboard.press("[");
  await until("it is at its beginning", async () => (await placeS()) === 0);
  expect(asked === 0 && !(await isPlaying()), `the audio was asked for ${asked} times`);
});
await check("it plays by a click, and its place moves", async () => {
  await page.locator("[data-test=play]").click();
  await until("it plays", isPlaying);
  await until("its place moves", async () => (await placeS()) > 0.3);
});
await check("each side sounds on its own channel", async () => {
  // The caller pauses between sentences: both are heard within some seconds.
  let [voice, apart] = [-200, -200];
  for (let look = 0; look < LOOKS && (voice < -80 || apart < 20); look += 1) {
    const [left, right] = await levels();
    voice = Math.max(voice, left.loudest);
    if (right.tone > -60) apart = Math.max(apart, right.tone - left.tone);
  }
  const told = `left ${Math.round(voice)} dB, the tone ${Math.round(apart)} dB louder on the right`;
  expect(voice > -80 && apart > 20, told);
  return told;
});
await check("it pauses by a key", async () => {
  await page.keyboard.press("p");
  await until("it pauses", async () => !(await isPlaying()));
});
await check("a click on the timeline goes there", async () => {
  const chart = page.locator(".charts .u-over").first();
  await chart.scrollIntoViewIfNeeded();
  const box = await chart.boundingBox();
  await page.mouse.move(box.x + 2, box.y + box.height / 2);
  await page.mouse.click(box.x + 2, box.y + box.height / 2);
  await until("it is near the beginning", async () => (await placeS()) < 3);
  const early = await placeS();
  await page.mouse.move(box.x + box.width - 2, box.y + box.height / 2);
  await page.mouse.click(box.x + box.width - 2, box.y + box.height / 2);
  await until("it is later", async () => (await placeS()) > early + 1);
  return `from ${early} s to ${await placeS()} s`;
});
await check("keys go back and ahead", async () => {
  const before = await placeS();
  await page.keyboard.press("[");
  await until("it is earlier", async () => (await placeS()) < before);
  const early = await placeS();
  await page.keyboard.press("]");
  await until("it is later again", async () => (await placeS()) > early);
});
await check("the timeline marks what is heard", () => picture("playback-timeline"));
await unbroken();
await close();
