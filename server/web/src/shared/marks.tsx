// Small marks for tables with thousands of lines: plain drawings, which cost nothing to show.
const PATHS = {
  clock: 'M8 1.5a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13ZM8 4v4.2l2.6 1.6',
  late: 'M2 4.5 8 1.5l6 3v7l-6 3-6-3ZM8 5v3.6M8 10.8v.4',
  pen: 'M2.5 13.5l.8-3.2 7.6-7.6 2.4 2.4-7.6 7.6ZM9.6 4l2.4 2.4',
  dashed: 'M2.5 13.5h3M7.5 13.5h3M12.5 13.5h1M3.3 10.3l7.6-7.6 2.4 2.4-7.6 7.6',
  box: 'M2 9.5h3.5l1 2h3l1-2H14M2 9.5v4h12v-4L12 2.5H4Z',
  warning: 'M8 2 1.5 13.5h13ZM8 6.5v3.2M8 11.4v.4',
  ticks: 'M1.5 8.5l3 3 6-7M7.8 11l.7.5 6-7',
  halfTicks: 'M1.5 8.5l3 3 6-7M12.5 10.5a2 2 0 1 0 .1 0',
  shield: 'M8 1.5l5.5 2v4c0 3.4-2.3 5.8-5.5 7-3.2-1.2-5.5-3.6-5.5-7v-4ZM5.5 8l2 2 3.2-3.6',
  back: 'M6 3 2.5 6.5 6 10M2.5 6.5h7a4 4 0 0 1 0 8H6',
  plus: 'M1.5 8.5l3 3 6-7M12.5 9v5M10 11.5h5',
  circle: 'M8 2.2a5.8 5.8 0 1 0 0 11.6A5.8 5.8 0 0 0 8 2.2Z',
} as const;

export type MarkName = keyof typeof PATHS;

export function Mark({ name }: { name: MarkName }) {
  return (
    <svg className="mark" width="14" height="14" viewBox="0 0 16 16" fill="none" stroke="currentColor" strokeWidth="1.5" strokeLinecap="round" strokeLinejoin="round" aria-hidden>
      <path d={PATHS[name]} />
    </svg>
  );
}
