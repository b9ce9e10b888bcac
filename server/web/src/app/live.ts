// Live events: one stream for the page. Broken, it says so and goes on from the last event; what changed is asked again.
import { useEffect, useSyncExternalStore } from 'react';

/** Something that happened; without patient data. */
export interface Happened {
  seq: number;
  kind: string;
  object: string;
  at: number;
}

/** How far a study is that arrives. */
export interface Arriving {
  study: string;
  instances: number;
  expected: number | null;
}

export type Link = 'connecting' | 'open' | 'broken';

type Listener = (event: Happened) => void;
const listeners = new Set<Listener>();
const arrivals = new Set<(progress: Arriving) => void>();
const watchers = new Set<() => void>();
let source: EventSource | null = null;
let link: Link = 'connecting';
let last: number | null = null;
let timer: ReturnType<typeof setTimeout> | undefined;
let wait = 500;

function say(next: Link): void {
  if (link === next) return;
  link = next;
  watchers.forEach((call) => call());
}

function open(): void {
  source?.close();
  const after = last === null ? '' : `?after=${last}`;
  source = new EventSource(`/api/v1/events${after}`);
  source.onopen = () => {
    wait = 500;
    say('open');
  };
  source.onmessage = (message: MessageEvent<string>) => {
    const event = JSON.parse(message.data) as Happened;
    last = event.seq;
    listeners.forEach((call) => call(event));
  };
  source.addEventListener('progress', (message: MessageEvent<string>) => {
    const progress = JSON.parse(message.data) as Arriving;
    arrivals.forEach((call) => call(progress));
  });
  source.onerror = () => {
    // The browser's own retry gives up on some answers; ours does not.
    source?.close();
    say('broken');
    clearTimeout(timer);
    timer = setTimeout(open, wait);
    wait = Math.min(8_000, wait * 2);
  };
}

/** Begins to follow; called when somebody has signed in. */
export function startLive(): void {
  if (!source) open();
}

/** Stops following; called at signing out. */
export function stopLive(): void {
  clearTimeout(timer);
  source?.close();
  source = null;
  last = null;
  link = 'connecting';
}

window.addEventListener('online', () => {
  if (source && link === 'broken') open();
});

/** Calls back for events whose kind is in the list (all of them when it is empty) while the component is there. */
export function useHappened(kinds: readonly string[], call: Listener): void {
  const wanted = kinds.join(' ');
  useEffect(() => {
    const set = new Set(wanted.split(' ').filter(Boolean));
    const listener: Listener = (event) => {
      if (set.size === 0 || set.has(event.kind)) call(event);
    };
    listeners.add(listener);
    return () => {
      listeners.delete(listener);
    };
  }, [wanted, call]);
}

/** Calls back with the progress of studies that arrive. */
export function useArrivals(call: (progress: Arriving) => void): void {
  useEffect(() => {
    arrivals.add(call);
    return () => {
      arrivals.delete(call);
    };
  }, [call]);
}

/** Whether the stream stands. */
export function useLink(): Link {
  return useSyncExternalStore(
    (call) => {
      watchers.add(call);
      return () => watchers.delete(call);
    },
    () => link,
  );
}
