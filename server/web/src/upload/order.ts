// The order in which the images of a study go: its whole extent first.

/** The indexes 0 to count - 1, each once: every 16th, then those 8 between, then 4, 2, 1. */
export function extentFirst(count: number): number[] {
  const order: number[] = [];
  for (const [first, step] of [[0, 16], [8, 16], [4, 8], [2, 4], [1, 2]] as const) {
    for (let index = first; index < count; index += step) order.push(index);
  }
  return order;
}
