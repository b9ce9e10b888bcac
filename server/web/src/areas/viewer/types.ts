// What the viewer and those who embed it agree on. Nothing here needs Cornerstone.

/** A study to be shown. `label` is what the rail calls it, such as `2026-03-01 胸部CT`. */
export interface StudyRef {
  id: string;
  uid: string;
  label: string;
  prior: boolean;
  /** Made after the study that is read: shown on demand, never hung as a prior. */
  later?: boolean;
  modality: string;
  bodyPart: string | null;
}

export type Point = [number, number, number];

/** One measurement or mark, in world coordinates of its frame of reference. */
export interface Mark {
  id: string;
  tool: string;
  frameOfReference: string;
  sop: string;
  frame: number;
  series: string;
  study: string;
  /** A plane that was cut out of the series' volume, in place of an image. */
  cut?: { axis: 'i' | 'j' | 'k'; index: number };
  points: Point[];
  /** Outline of a free-hand region. */
  outline?: Point[];
  closed?: boolean;
  text?: string;
  label?: string;
  visible: boolean;
  locked: boolean;
}

/** An image that was chosen as a key image. */
export interface KeyImage {
  study: string;
  series: string;
  sop: string;
  frame: number;
}

/** What one pane shows. */
export interface PaneState {
  /** The stack: a series, or `series/sop` for an image or clip that stands alone. */
  stack: string | null;
  sop: string | null;
  frame: number;
  window: { centre: number; width: number } | null;
  invert: boolean;
  rotation: number;
  flipH: boolean;
  flipV: boolean;
  zoom: number;
  pan: [number, number];
}

/** Two stacks that were put beside each other: an index of one stands beside an index of the other. */
export interface Alignment {
  a: string;
  b: string;
  offset: number;
}

/** A pair of calipers on an ECG. */
export interface EcgMark {
  id: string;
  sop: string;
  kind: 'RR' | 'PR' | 'QRS' | 'QT' | 'free';
  lead: string;
  from: number;
  to: number;
}

/** Everything that is saved with a report and comes back. Plain JSON. */
export interface ViewState {
  version: 1;
  layout: { rows: number; columns: number };
  panes: PaneState[];
  marks: Mark[];
  keyImages: KeyImage[];
  alignments: Alignment[];
  ecg: EcgMark[];
}

export type KeymapName = 'medrelay' | 'ohif' | 'weasis';
/** Changes of single keys by their owner: action -> chords. */
export type KeyChanges = Record<string, string[]>;

export interface ViewerProps {
  studies: StudyRef[];
  keymap: KeymapName;
  keyChanges?: KeyChanges;
  /** Keeps changed keys; without it they cannot be changed here. */
  onKeyChanges?(changes: KeyChanges): void;
  annotations?: ViewState | null;
  onAnnotations?(state: ViewState): void;
  readOnly?: boolean;
  /** Which share of the images of the current study has been on the screen, 0..1. */
  onSeen?(share: number): void;
  /** The case, so that a second window can be kept in step; without it there is no second window. */
  caseId?: string;
  /** Screen pixels per millimetre by the display check; 96 dpi without it. */
  pixelsPerMillimetre?: number;
}
