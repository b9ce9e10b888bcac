// A value that components can follow; changes of one animation frame are told once.
import { useSyncExternalStore } from 'react';

export class Signal<T> {
  private listeners = new Set<() => void>();
  private queued = false;

  constructor(private value: T) {}

  get(): T {
    return this.value;
  }

  set(next: T): void {
    if (Object.is(next, this.value)) return;
    this.value = next;
    if (this.queued) return;
    this.queued = true;
    queueMicrotask(() => {
      this.queued = false;
      this.listeners.forEach((call) => call());
    });
  }

  /** Changes some fields of an object. */
  patch(part: Partial<T>): void {
    const now = this.value;
    const changed = (Object.keys(part) as (keyof T)[]).some((key) => !Object.is(part[key], now[key]));
    if (changed) this.set({ ...now, ...part });
  }

  readonly follow = (call: () => void): (() => void) => {
    this.listeners.add(call);
    return () => this.listeners.delete(call);
  };

  readonly read = (): T => this.value;
}

export function useSignal<T>(signal: Signal<T>): T {
  return useSyncExternalStore(signal.follow, signal.read);
}

/** One part of a signal: the component is drawn again only when that part is another one. The part must be a plain value or kept as it is. */
export function usePart<T, P>(signal: Signal<T>, part: (value: T) => P): P {
  return useSyncExternalStore(signal.follow, () => part(signal.read()));
}
