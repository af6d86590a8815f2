// A supervisor takes part from a real browser by WebRTC: hears the call, speaks to the callee, then to both.
//
// node e2e/talking.mjs URL USER PASSWORD CALL TONE.wav [--screenshots FOLDER]
// Expects a call whose caller sings 400 Hz and whose callee sings 1000 Hz; the microphone hears TONE.wav, 1600 Hz.
// Prints `now: WHAT` where whoever runs it may measure who hears what, and goes on with the next line of its input.

import { createInterface } from "node:readline";
import { called, expect, stage } from "./stage.mjs";

const { given, folder } = called("talking", "URL USER PASSWORD CALL TONE.wav");
const [url, user, password, call, tone] = given;

const WITHIN_MS = 20_000;
const [CALLER_HZ, CALLEE_HZ, MICROPHONE_HZ] = [400, 1_000, 1_600];
/** A tone that is heard has at least this amplitude; all are sung with 0.3. */
const LOUD = 0.15;
const QUIET = 0.03;

const { open, check, signIn, inBothLooks, close } = await stage(folder, {
  args: [
    "--autoplay-policy=no-user-gesture-required",
    "--use-fake-device-for-media-stream",
    `--use-file-for-fake-audio-capture=${tone}`,
  ],
  prefix: "talk",
  withinMs: WITHIN_MS,
});
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

/** Whoever runs this measures. */
async function now(what) {
  console.log(`now: ${what}`);
  await lines.next();
}

/** Runs in the page before anything of it: keeps what is received, and takes tones for speech. */
function prepare() {
  globalThis.received = null;
  globalThis.asked = 0;
  if (globalThis.RTCPeerConnection !== undefined) {
    const Real = globalThis.RTCPeerConnection;
    globalThis.RTCPeerConnection = class extends Real {
      constructor(...given) {
        super(...given);
        this.addEventListener("track", ({ track }) => {
          const context = new AudioContext();
          const meter = context.createAnalyser();
          meter.fftSize = 32_768;
          context.createMediaStreamSource(new MediaStream([track])).connect(meter);
          globalThis.received = meter;
        });
      }
    };
  }
  const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  navigator.mediaDevices.getUserMedia = () => {
    globalThis.asked += 1;
    return real({ audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false } });
  };
}

/** The amplitudes of tones in what the page receives. */
function strengths(tones) {
  const meter = globalThis.received;
  const samples = new Float32Array(meter.fftSize);
  meter.getFloatTimeDomainData(samples);
  return tones.map((hz) => {
    let [real, imaginary] = [0, 0];
    samples.forEach((sample, at) => {
      const angle = (2 * Math.PI * hz * at) / meter.context.sampleRate;
      real += sample * Math.cos(angle);
      imaginary += sample * Math.sin(angle);
    });
    return (2 * Math.hypot(real, imaginary)) / samples.length;
  });
}

/** A page of somebody who has signed in and sees the call. */
async function signedIn(permissions, more = () => {}) {
  const page = await open({ locale: "en-US", viewport: { width: 1280, height: 900 }, permissions });
  await page.addInitScript(more);
  await page.addInitScript(prepare);
  await page.goto(url);
  await signIn(user, password);
  await page.locator("[data-test=sign-out]").waitFor();
  await page.goto(`${url}/#/calls/${encodeURIComponent(call)}`);
  await page.locator("[data-test=talk]").waitFor();
  return page;
}

const press = (page, name) => page.locator(`[data-test=talk-${name}]`).click();
const is = (page, name, value) => page.locator(`[data-test=talk][data-${name}=${value}]`).waitFor();

async function hears(page, wanted) {
  const tones = [CALLER_HZ, CALLEE_HZ, MICROPHONE_HZ];
  let found = [];
  for (const until = Date.now() + WITHIN_MS; Date.now() < until; ) {
    found = await page.evaluate(strengths, tones);
    if (tones.every((hz, at) => (wanted.includes(hz) ? found[at] > LOUD : found[at] < QUIET)))
      return found.map((each) => each.toFixed(2));
    await page.waitForTimeout(200);
  }
  throw new Error(`the browser hears ${found} of ${tones} Hz, expected ${wanted}`);
}

async function theSupervisor() {
  const page = await signedIn(["microphone"]);
  await check("listening connects, and asks for no microphone", async () => {
    await press(page, "listen");
    await is(page, "state", "connected");
    expect((await page.evaluate(() => globalThis.asked)) === 0, "the microphone was asked for");
  });
  await check("both are heard", () => hears(page, [CALLER_HZ, CALLEE_HZ]));
  await now("listening");
  await check("whispering opens the microphone", async () => {
    await press(page, "whisper");
    await is(page, "mode", "whisper");
    await page.waitForFunction(() => Number(document.querySelector("[data-test=talk]").dataset.levelSaid) > -40);
  });
  await now("whispering");
  await check("muting is shown", async () => {
    await press(page, "mute");
    await page.locator("[data-test=talk-mute][aria-pressed=true]").waitFor();
  });
  await now("muted");
  await press(page, "mute");
  await check("barging in is shown", async () => {
    await press(page, "barge");
    await is(page, "mode", "barge");
  });
  await now("barging in");
  await inBothLooks("panel");
  await check("listening again lets go of the microphone", async () => {
    await press(page, "listen");
    await is(page, "mode", "listen");
    await page.locator("[data-test=talk][data-level-said='-96.0']").waitFor();
  });
  await check("the key of listening leaves", async () => {
    await page.locator("h1").click();
    await page.keyboard.press("l");
    await is(page, "state", "silent");
  });
  await now("gone");
  await check("what others end is shown as ended", async () => {
    await press(page, "barge");
    await is(page, "state", "connected");
    const status = await page.evaluate(async (id) => {
      const path = `/v1/calls/${id}/supervisors/2`;
      return (await fetch(path, { method: "DELETE", headers: { "x-calmline-console": "1" } })).status;
    }, call);
    expect(status === 202, `found ${status}`);
    await is(page, "state", "ended");
  });
  await page.context().close();
}

async function thoseInWhoseWaySomethingStands() {
  const refused = await signedIn([]);
  await check("a refused microphone is told", async () => {
    await press(refused, "whisper");
    await is(refused, "state", "failed");
    return await refused.locator("[data-test=talk-trouble]").innerText();
  });
  await refused.context().close();
  const old = await signedIn([], () => {
    delete globalThis.RTCPeerConnection;
  });
  await check("without WebRTC the call is heard as a stream", async () => {
    await press(old, "listen");
    await old.locator("[data-test=talk-fell-back]").waitFor();
    await old.locator("[data-test=listen][data-state=playing]").waitFor();
  });
  await old.context().close();
}

await theSupervisor();
await thoseInWhoseWaySomethingStands();
await close();
process.exit(0);
