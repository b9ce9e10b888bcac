// Test patterns for a display: steps of grey with the faintest differences, lines of one pixel, a ruler the size of a bank card.
import { useEffect, useRef } from 'react';

const STEPS = 11;

function grey(percent: number): string {
  const level = Math.round((percent / 100) * 255);
  return `rgb(${level},${level},${level})`;
}

/** Eleven steps from black to white; in the first stands a square of 5 %, in the last one of 95 %. */
export function GreySteps({ label }: { label: string }) {
  const step = 100 / (STEPS - 1);
  return (
    <svg role="img" aria-label={label} viewBox="0 0 440 96" width="100%" style={{ display: 'block', background: '#000', borderRadius: 4 }}>
      {Array.from({ length: STEPS }, (_, index) => (
        <rect key={index} x={index * 40} y={0} width={40} height={40} fill={grey(index * step)} />
      ))}
      <rect x={0} y={40} width={220} height={56} fill={grey(0)} />
      <rect x={94} y={52} width={32} height={32} fill={grey(5)} />
      <rect x={220} y={40} width={220} height={56} fill={grey(100)} />
      <rect x={314} y={52} width={32} height={32} fill={grey(95)} />
    </svg>
  );
}

/** Lines of one device pixel, upright and lying: a display that scales shows grey or beats. */
export function SharpLines({ label }: { label: string }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const target = canvas.current;
    const pen = target?.getContext('2d');
    if (!target || !pen) return;
    const ratio = window.devicePixelRatio || 1;
    const wide = Math.round(320 * ratio);
    const high = Math.round(96 * ratio);
    target.width = wide;
    target.height = high;
    target.style.width = `${wide / ratio}px`;
    target.style.height = `${high / ratio}px`;
    pen.fillStyle = '#000';
    pen.fillRect(0, 0, wide, high);
    pen.fillStyle = '#fff';
    const half = Math.floor(wide / 2);
    for (let x = 0; x < half - 4; x += 2) pen.fillRect(x, 0, 1, high);
    for (let y = 0; y < high; y += 2) pen.fillRect(half + 4, y, wide - half - 4, 1);
  }, []);
  return <canvas ref={canvas} role="img" aria-label={label} style={{ maxWidth: '100%', imageRendering: 'pixelated' }} />;
}

/** The sides of a bank card (ISO/IEC 7810 ID-1) in millimetres. */
export const CARD = { wide: 85.6, high: 53.98 };

/** A card drawn at so many CSS pixels per millimetre, to lay a real one on. */
export function CardOutline({ pxPerMm, label }: { pxPerMm: number; label: string }) {
  return (
    <div style={{ overflowX: 'auto' }}>
      <div role="img" aria-label={label} style={{ width: CARD.wide * pxPerMm, height: CARD.high * pxPerMm, border: '2px solid currentColor', borderRadius: 3.18 * pxPerMm, boxSizing: 'border-box', display: 'grid', placeItems: 'center' }}>
        <span aria-hidden>85.6 mm</span>
      </div>
    </div>
  );
}
