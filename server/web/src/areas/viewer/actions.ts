// Everything that can be done in the viewer by a key, in the groups of the cheat sheet.

export const groups = {
  tools: [
    'tool.window', 'tool.zoom', 'tool.pan', 'tool.length', 'tool.angle', 'tool.rectangle', 'tool.ellipse', 'tool.freehand',
    'tool.probe', 'tool.arrow', 'tool.text',
  ],
  image: ['rotate.right', 'rotate.left', 'flip.horizontal', 'flip.vertical', 'invert', 'zoom.in', 'zoom.out', 'fit', 'reset'],
  window: [
    'window.auto', 'window.file', 'window.1', 'window.2', 'window.3', 'window.4', 'window.5', 'window.6', 'window.7', 'window.8', 'window.9',
  ],
  move: [
    'image.next', 'image.previous', 'image.next10', 'image.previous10', 'image.first', 'image.last', 'series.next', 'series.previous',
    'pane.next', 'pane.previous', 'cine.toggle', 'cine.faster', 'cine.slower',
  ],
  marks: ['key.toggle', 'key.next', 'undo', 'redo', 'mark.delete', 'marks.toggle'],
  view: ['overlay.toggle', 'mpr.toggle', 'sync.toggle', 'layout.1', 'layout.2', 'layout.4', 'layout.protocol', 'full.toggle', 'help', 'cancel'],
} as const;

export type Group = keyof typeof groups;
export type Action = (typeof groups)[Group][number];

export const actions: readonly Action[] = Object.values(groups).flat();

export function isAction(name: string): name is Action {
  return (actions as readonly string[]).includes(name);
}
