// How the charts of a call look: axes, lines, bands of the levels, marks.

import type uPlot from "uplot";
import type { Texts } from "../texts";
import { KINDS } from "./kinds";
import type { Mark } from "./series";

export interface ChartLook {
  width: number;
  /** Whether each step is drawn, because they are few. */
  dots: boolean;
  texts: Texts;
  marks: () => readonly Mark[];
  /** The moment that is heard, seconds since the INVITE. */
  at: () => number | null;
  /** How a moment is written, from seconds since the INVITE. */
  time: (seconds: number) => string;
}

/** Steps between labels of time that read well, seconds. */
const TIME_STEPS_S = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600];
/** The time that a chart shows at least, seconds. */
const SPAN_MIN_S = 10;
const timeScale: uPlot.Scale = {
  time: false,
  range: (_, low, high) => [low ?? 0, Math.max(high ?? 0, (low ?? 0) + SPAN_MIN_S)],
};

const colour = (name: string) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function axis(label: string, side: 1 | 3, scale: string): uPlot.Axis {
  return {
    scale,
    side,
    label,
    labelSize: 20,
    size: 46,
    stroke: colour("--text-quiet"),
    grid: side === 3 ? { stroke: colour("--line"), width: 1 } : { show: false },
    ticks: { stroke: colour("--line"), width: 1 },
    font: "12px system-ui",
    labelFont: "12px system-ui",
  };
}

function timeAxis({ time }: ChartLook): uPlot.Axis {
  return {
    stroke: colour("--text-quiet"),
    grid: { show: false },
    ticks: { stroke: colour("--line"), width: 1 },
    font: "12px system-ui",
    incrs: TIME_STEPS_S,
    values: (_, splits) => splits.map((seconds) => time(seconds)),
  };
}

function common(look: ChartLook): Pick<uPlot.Options, "width" | "cursor" | "legend"> {
  return {
    width: look.width,
    // Both charts show the same moment.
    cursor: { sync: { key: "call" }, drag: { x: false, y: false } },
    legend: { live: true },
  };
}

function timeSeries({ time, texts }: ChartLook): uPlot.Series {
  return { label: texts.call.time, value: (_, seconds) => (seconds === null ? "–" : time(seconds)) };
}

/** Anger of both parties, percent. */
export function angerOptions(look: ChartLook): uPlot.Options {
  const { texts } = look;
  const line = (label: string, stroke: string, dash?: number[]): uPlot.Series => ({
    label,
    stroke,
    width: 2,
    ...(dash && { dash }),
    points: { show: look.dots, size: 7, fill: stroke },
    value: (_, percent) => (typeof percent !== "number" ? "–" : `${percent.toFixed(0)}%`),
  });
  return {
    ...common(look),
    height: 210,
    padding: [22, 66, 0, 0],
    scales: { x: timeScale, anger: { range: [0, 100] } },
    axes: [timeAxis(look), axis(`${texts.call.anger} %`, 3, "anger")],
    series: [
      timeSeries(look),
      { ...line(texts.party.caller, colour("--high")), scale: "anger" },
      { ...line(texts.party.callee, colour("--callee-line"), [6, 4]), scale: "anger" },
    ],
    hooks: { draw: [(chart) => drawMarks(chart, look.marks()), (chart) => drawHeard(chart, look.at())] },
  };
}

/** The caller's pitch and loudness. */
export function voiceOptions(look: ChartLook): uPlot.Options {
  const { texts } = look;
  return {
    ...common(look),
    height: 170,
    scales: {
      x: timeScale,
      pitch: { range: (_, low, high) => [Math.min(60, low ?? 60), Math.max(400, high ?? 400)] },
      loudness: { range: [-60, 0] },
    },
    axes: [timeAxis(look), axis(texts.call.pitch, 3, "pitch"), axis(texts.call.loudness, 1, "loudness")],
    series: [
      timeSeries(look),
      {
        label: texts.call.pitch,
        scale: "pitch",
        stroke: colour("--pitch"),
        width: 1.5,
        points: { show: true, size: 4, fill: colour("--pitch") },
        value: (_, hertz) => (typeof hertz !== "number" ? "–" : hertz.toFixed(0)),
      },
      {
        label: texts.call.loudness,
        scale: "loudness",
        stroke: colour("--line-strong"),
        width: 1.5,
        points: { show: false },
        value: (_, dbov) => (typeof dbov !== "number" ? "–" : dbov.toFixed(1)),
      },
    ],
    hooks: { draw: [(chart) => drawHeard(chart, look.at())] },
  };
}

/** Letters stand beside each other where marks are close; one that had to stand further off than this is left out. */
const LETTER_PX = 12;
const SHIFT_PX_MAX = 72;

/** A line at the moment that is heard. */
function drawHeard(chart: uPlot, at: number | null): void {
  if (at === null) return;
  const { ctx, bbox } = chart;
  const x = chart.valToPos(at, "x", true);
  if (x < bbox.left || x > bbox.left + bbox.width) return;
  ctx.save();
  ctx.strokeStyle = colour("--text");
  ctx.lineWidth = 2 * devicePixelRatio;
  ctx.beginPath();
  ctx.moveTo(x, bbox.top);
  ctx.lineTo(x, bbox.top + bbox.height);
  ctx.stroke();
  ctx.restore();
}

/** A line and a letter for every mark. */
function drawMarks(chart: uPlot, marks: readonly Mark[]): void {
  const { ctx, bbox } = chart;
  const pixels = devicePixelRatio;
  let free = Number.NEGATIVE_INFINITY;
  ctx.save();
  ctx.font = `bold ${11 * pixels}px system-ui`;
  ctx.textAlign = "center";
  ctx.lineWidth = pixels;
  ctx.setLineDash([3 * pixels, 3 * pixels]);
  for (const { seconds, kind } of marks) {
    const x = chart.valToPos(seconds, "x", true);
    if (x < bbox.left || x > bbox.left + bbox.width) continue;
    ctx.strokeStyle = colour(KINDS[kind].colour);
    ctx.fillStyle = ctx.strokeStyle;
    ctx.globalAlpha = 0.55;
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    ctx.globalAlpha = 1;
    const place = Math.max(x, free);
    if (place - x > SHIFT_PX_MAX * pixels) continue;
    free = place + LETTER_PX * pixels;
    ctx.fillText(KINDS[kind].letter, place, bbox.top - 6 * pixels);
  }
  ctx.restore();
}
