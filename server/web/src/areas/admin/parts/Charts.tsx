// Small charts as drawings: bars and lines with a scale, a title for whoever cannot see them and the values on pointing.
// The table beside them says the same in numbers.
import { type ReactNode, useCallback, useId } from 'react';

export interface Bar {
  label: string;
  value: number;
}

/** A round number at or above `value`, for the end of a scale; its half is whole, too. */
export function roundUp(value: number): number {
  const power = 10 ** Math.max(0, Math.floor(Math.log10(Math.max(1, value))));
  const step = (power === 1 ? [2, 4, 6, 8, 10] : [1, 1.2, 1.6, 2, 3, 4, 5, 6, 8, 10]).find((part) => part * power >= value) ?? 10;
  return Math.round(step * power);
}

const LEFT = 44;
const HIGH = 190;
const TOP = 10;

function Scale({ most, wide }: { most: number; wide: number }) {
  return (
    <g aria-hidden>
      {[0, 0.5, 1].map((part) => {
        const y = TOP + (1 - part) * (HIGH - TOP);
        const value = most * part;
        return (
          <g key={part}>
            <line className="grid" x1={LEFT} x2={wide} y1={y} y2={y} />
            <text x={LEFT - 6} y={y + 4} textAnchor="end">
              {value}
            </text>
          </g>
        );
      })}
    </g>
  );
}

/** Names below the axis: all of them while there is room, else every n-th. */
function Names({ labels, at }: { labels: string[]; at: (index: number) => number }) {
  const every = Math.ceil(labels.length / 12);
  return (
    <g aria-hidden>
      {labels.map((label, index) =>
        index % every === 0 ? (
          <text key={index} x={at(index)} y={HIGH + 16} textAnchor="middle">
            {label.length > 8 ? `${label.slice(0, 7)}…` : label}
          </text>
        ) : null,
      )}
    </g>
  );
}

/** A drawing that is not made smaller than can be read: on narrow screens it is moved sideways, and begins at its end where that is today. */
function Frame({ title, wide, atEnd, children }: { title: string; wide: number; atEnd: boolean; children: ReactNode }) {
  const name = useId();
  const toEnd = useCallback(
    (element: HTMLDivElement | null) => {
      if (element && atEnd) element.scrollLeft = element.scrollWidth;
    },
    [atEnd],
  );
  return (
    <div ref={toEnd} role="group" tabIndex={0} aria-label={title} style={{ overflowX: 'auto' }}>
      <svg className="chart" role="img" aria-labelledby={name} viewBox={`0 0 ${wide} ${HIGH + 24}`} width="100%" style={{ maxHeight: 260, minWidth: Math.min(wide, 560) }}>
        <title id={name}>{title}</title>
        {children}
      </svg>
    </div>
  );
}

/** Upright bars. */
export function Bars({ title, unit, bars, atEnd }: { title: string; unit: string; bars: Bar[]; atEnd: boolean }) {
  const wide = Math.max(360, LEFT + bars.length * 26);
  const most = roundUp(Math.max(0, ...bars.map((bar) => bar.value)));
  const slot = (wide - LEFT) / Math.max(1, bars.length);
  const middle = (index: number) => LEFT + slot * (index + 0.5);
  return (
    <Frame title={title} wide={wide} atEnd={atEnd}>
      <Scale most={most} wide={wide} />
      {bars.map((bar, index) => {
        const high = (bar.value / most) * (HIGH - TOP);
        const broad = Math.min(40, slot * 0.7);
        return (
          <rect key={index} x={middle(index) - broad / 2} y={HIGH - high} width={broad} height={high} rx={2} fill="light-dark(#0b6b6f, #3aa6aa)">
            <title>{`${bar.label}: ${bar.value} ${unit}`}</title>
          </rect>
        );
      })}
      <Names labels={bars.map((bar) => bar.label)} at={middle} />
    </Frame>
  );
}

export interface Course {
  name: string;
  values: (number | null)[];
}

const STYLES = [
  { colour: 'light-dark(#0b57b7, #74b3ff)', dash: '' },
  { colour: 'light-dark(#a84300, #ffa366)', dash: '6 3' },
];

/** Lines over the same names; told apart by colour and by dashes. A gap where there is no value. */
export function Lines({ title, unit, labels, courses, atEnd }: { title: string; unit: string; labels: string[]; courses: Course[]; atEnd: boolean }) {
  const wide = Math.max(360, LEFT + labels.length * 26);
  const most = roundUp(Math.max(0, ...courses.flatMap((course) => course.values.map((value) => value ?? 0))));
  const slot = (wide - LEFT) / Math.max(1, labels.length);
  const middle = (index: number) => LEFT + slot * (index + 0.5);
  const height = (value: number) => HIGH - (value / most) * (HIGH - TOP);
  return (
    <figure style={{ margin: 0 }}>
      <Frame title={title} wide={wide} atEnd={atEnd}>
        <Scale most={most} wide={wide} />
        {courses.map((course, which) => {
          const style = STYLES[which % STYLES.length];
          const path = course.values.map((value, index) => (value === null ? '' : `${index === 0 || course.values[index - 1] === null ? 'M' : 'L'}${middle(index)} ${height(value)}`)).join('');
          return (
            <g key={course.name} style={{ color: style?.colour }}>
              <path d={path} fill="none" stroke="currentColor" strokeWidth={2} strokeDasharray={style?.dash} />
              {course.values.map((value, index) =>
                value === null ? null : (
                  <circle key={index} cx={middle(index)} cy={height(value)} r={3.5} fill="currentColor">
                    <title>{`${labels[index] ?? ''} ${course.name}: ${value} ${unit}`}</title>
                  </circle>
                ),
              )}
            </g>
          );
        })}
        <Names labels={labels} at={middle} />
      </Frame>
      <figcaption style={{ display: 'flex', gap: 16, fontSize: 13 }}>
        {courses.map((course, which) => (
          <span key={course.name} style={{ display: 'inline-flex', gap: 6, alignItems: 'center' }}>
            <svg width="28" height="8" aria-hidden style={{ color: STYLES[which % STYLES.length]?.colour }}>
              <line x1="0" x2="28" y1="4" y2="4" stroke="currentColor" strokeWidth="2" strokeDasharray={STYLES[which % STYLES.length]?.dash} />
            </svg>
            {course.name}
          </span>
        ))}
      </figcaption>
    </figure>
  );
}
