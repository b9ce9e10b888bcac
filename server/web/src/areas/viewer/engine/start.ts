// Starts Cornerstone once: core, tools, decoding workers, our metadata and our frames. Without WebGL it draws with the CPU.
import { cache, Enums, eventTarget, getRenderingCapabilities, getShouldUseCPURendering, init as initCore, metaData, setUseCPURendering } from '@cornerstonejs/core';
import { init as initLoader } from '@cornerstonejs/dicom-image-loader';
import { addTool, init as initTools } from '@cornerstonejs/tools';

import { registerCuts } from '../mpr/cuts';

import { GIVEN_UP, registerFrames } from './loader';
import { provide } from './provider';
import { Signal } from './signal';
import { toolClasses } from './tools';

/** What draws: said in the corner of the viewer, since it tells why something may be slow. */
export interface Drawing {
  by: 'webgl' | 'cpu';
  /** The graphics were lost while reading. */
  lost: boolean;
}

/** What somebody wants on this machine: a graphics driver may be worse than none. */
export type DrawingChoice = 'auto' | 'webgl' | 'cpu';
const KEPT = 'medrelay.drawing';

export function drawingChoice(): DrawingChoice {
  const kept = localStorage.getItem(KEPT);
  return kept === 'webgl' || kept === 'cpu' ? kept : 'auto';
}

/** Chooses; it holds from the next time the viewer is opened. */
export function chooseDrawing(choice: DrawingChoice): void {
  if (choice === 'auto') localStorage.removeItem(KEPT);
  else localStorage.setItem(KEPT, choice);
}

/** Graphics that are only played by the CPU are slower than drawing with it at once: every picture is copied back. */
function shouldDrawByCpu(): boolean {
  const choice = drawingChoice();
  return choice === 'cpu' || (choice === 'auto' && getRenderingCapabilities().softwareRasterizer === true);
}

export const drawing = new Signal<Drawing>({ by: 'webgl', lost: false });
let started = false;

/** Bytes that decoded images may take: a quarter of what the machine says it has, within bounds. */
export function imageBudget(gigabytes = (navigator as { deviceMemory?: number }).deviceMemory ?? 4): number {
  return Math.min(1_536, Math.max(192, (gigabytes * 1_024) / 5)) * 1_048_576;
}

export function startCornerstone(): void {
  if (started) return;
  started = true;
  initCore({ rendering: { webGlContextCount: 2 } } as Parameters<typeof initCore>[0]);
  if (shouldDrawByCpu()) setUseCPURendering(true);
  initLoader({ maxWebWorkers: Math.max(1, Math.min(4, (navigator.hardwareConcurrency || 2) - 1)) });
  initTools();
  // Ours removes what is farthest from where somebody looks, long before Cornerstone would.
  cache.setMaxCacheSize(4_294_967_296);
  metaData.addProvider(provide, 10_000);
  registerFrames();
  registerCuts();
  toolClasses.forEach((tool) => addTool(tool));
  drawing.set({ by: getShouldUseCPURendering() ? 'cpu' : 'webgl', lost: false });
  // Cornerstone throws away the promise of an image that was given up; that is no fault.
  window.addEventListener('unhandledrejection', (event) => {
    if (event.reason === GIVEN_UP) event.preventDefault();
  });
  eventTarget.addEventListener(Enums.Events.WEBGL_CONTEXT_LOST, () => {
    if (drawing.get().by === 'cpu') return;
    setUseCPURendering(true);
    drawing.set({ by: 'cpu', lost: true });
  });
}
