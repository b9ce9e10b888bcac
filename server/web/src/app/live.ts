// Live events: one stream for the page. Broken, it says so and goes on from the last event; what changed is asked again.
import { useEffect, useSyncExternalStore } from 'react';

import { noticeSignedOut } from '@/api/client';

import { askAgain } from './queries';

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

/** A line can die without a word, as when a cable is pulled: after so much silence the relay is asked, in milliseconds. */
const SILENCE = 10_000;
const ANSWER = 5_000;
const LOOK = 3_000;
let heard = 0;
let looking: ReturnType<typeof setInterval> | undefined;

function say(next: Link): void {
  if (link === next) return;
  link = next;
  watchers.forEach((call) => call());
}

function open(): void {
  clearTimeout(timer);
  source?.close();
  const after = last === null ? '' : `?after=${last}`;
  source = new EventSource(`/api/v1/events${after}`);
  source.onopen = () => {
    wait = 500;
    heard = Date.now();
    // Without an event to go on from, what happened before the stream stood is never told: it is asked.
    if (last === null) askAgain();
    say('open');
  };
  source.onmessage = (message: MessageEvent<string>) => {
    heard = Date.now();
    const event = JSON.parse(message.data) as Happened;
    last = event.seq;
    listeners.forEach((call) => call(event));
  };
  source.addEventListener('progress', (message: MessageEvent<string>) => {
    const progress = JSON.parse(message.data) as Arriving;
    arrivals.forEach((call) => call(progress));
  });
  source.onerror = broken;
}

/** The browser's own retry gives up on some answers; ours does not. */
function broken(): void {
  if (!source) return;
  source.close();
  say('broken');
  clearTimeout(timer);
  timer = setTimeout(open, wait);
  wait = Math.min(4_000, wait * 2);
  // A stream is refused to whoever's session has ended, too: that is another page, not another try.
  void fetch('/api/v1/me', { credentials: 'same-origin' }).then(
    (answer) => (answer.status === 401 ? noticeSignedOut(answer) : undefined),
    () => undefined,
  );
}

async function look(): Promise<void> {
  if (link !== 'open' || Date.now() - heard < SILENCE) return;
  const answer = await fetch('/version', { cache: 'no-store', signal: AbortSignal.timeout(ANSWER) }).catch(() => null);
  if (answer?.ok) heard = Date.now();
  else if (link === 'open') broken();
}

/** Begins to follow; called when somebody has signed in. */
export function startLive(): void {
  if (source) return;
  open();
  clearInterval(looking);
  looking = setInterval(() => void look(), LOOK);
}

/** Stops following; called at signing out. */
export function stopLive(): void {
  clearTimeout(timer);
  clearInterval(looking);
  source?.close();
  source = null;
  last = null;
  link = 'connecting';
}

window.addEventListener('offline', broken);
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
