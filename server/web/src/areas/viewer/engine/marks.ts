// Marks of Cornerstone's tools and ours (`Mark`), into each other; and putting back what was saved.
import { annotation as annotations, utilities, type Types } from '@cornerstonejs/tools';

import { columnOf, normalOf } from '../dicom/geometry';
import { imageIdOf } from '../dicom/model';
import { cutImageId, parseCut } from '../mpr/cuts';
import type { Mark, Point } from '../types';

import { frameOf, frameOfReferenceOf } from './provider';
import { toolNames } from './tools';

const known = new Set<string>(Object.values(toolNames));
const pointOf = (value: ArrayLike<number>): Point => [value[0] ?? 0, value[1] ?? 0, value[2] ?? 0];

type Loose = Types.Annotation & {
  data: { text?: string; label?: string; contour?: { polyline?: ArrayLike<number>[]; closed?: boolean }; handles?: { points?: ArrayLike<number>[] } };
};

/** A mark of a tool as ours; null while it is being drawn or is nothing to keep. */
export function markFrom(raw: Types.Annotation): Mark | null {
  const source = raw as Loose;
  const { metadata, data } = source;
  const imageId = metadata?.referencedImageId;
  if (!source.annotationUID || !metadata?.toolName || !known.has(metadata.toolName) || !imageId) return null;
  const frame = frameOf(imageId);
  const cut = parseCut(imageId);
  if (!frame) return null;
  const mark: Mark = {
    id: source.annotationUID,
    tool: metadata.toolName,
    frameOfReference: metadata.FrameOfReferenceUID ?? frameOfReferenceOf(frame),
    study: frame.study,
    series: frame.series,
    sop: frame.sop,
    frame: cut ? 1 : frame.frame,
    points: (data.handles?.points ?? []).map(pointOf),
    visible: source.isVisible !== false,
    locked: source.isLocked === true,
  };
  if (cut) mark.cut = { axis: cut.axis, index: cut.index };
  if (data.contour?.polyline) {
    mark.outline = data.contour.polyline.map(pointOf);
    mark.closed = data.contour.closed === true;
  }
  if (data.text) mark.text = data.text;
  if (data.label) mark.label = data.label;
  return mark.points.length > 0 || (mark.outline?.length ?? 0) > 0 ? mark : null;
}

/** Every mark there is, in the order in which it was made. */
export function allMarks(): Mark[] {
  return (annotations.state.getAllAnnotations() as unknown as Types.Annotation[]).map(markFrom).filter((mark): mark is Mark => mark !== null);
}

function imageIdFor(mark: Mark): string {
  return mark.cut ? cutImageId(mark.series, mark.cut.axis, mark.cut.index) : imageIdOf(mark.study, mark.series, mark.sop, mark.frame);
}

/** Our mark as one of the tools'; null while its image is not known. */
function annotationFrom(mark: Mark): Types.Annotation | null {
  const imageId = imageIdFor(mark);
  const frame = frameOf(imageId);
  if (!frame) return null;
  const orientation = frame.orientation ?? [1, 0, 0, 0, 1, 0];
  return {
    annotationUID: mark.id,
    highlighted: false,
    invalidated: true,
    isLocked: mark.locked,
    isVisible: mark.visible,
    metadata: {
      toolName: mark.tool,
      FrameOfReferenceUID: mark.frameOfReference,
      referencedImageId: imageId,
      viewPlaneNormal: normalOf(orientation as Parameters<typeof normalOf>[0]),
      viewUp: columnOf(orientation as Parameters<typeof columnOf>[0]).map((part) => -part) as Point,
    },
    data: {
      ...(mark.text === undefined ? {} : { text: mark.text }),
      label: mark.label ?? '',
      cachedStats: {},
      handles: { points: mark.points.map((point) => [...point]), activeHandleIndex: null, textBox: { hasMoved: false, worldPosition: [0, 0, 0], worldBoundingBox: corners() } },
      ...(mark.outline ? { contour: { polyline: mark.outline.map((point) => [...point]), closed: mark.closed === true } } : {}),
    },
  } as unknown as Types.Annotation;
}

const corners = () => ({ topLeft: [0, 0, 0], topRight: [0, 0, 0], bottomLeft: [0, 0, 0], bottomRight: [0, 0, 0] });

/** Makes the tools' marks equal to a list. Returns what could not be placed yet, since its image is not known. */
export function putMarks(marks: readonly Mark[], viewports: string[]): Mark[] {
  const wanted = new Map(marks.map((mark) => [mark.id, mark]));
  for (const there of annotations.state.getAllAnnotations() as unknown as Types.Annotation[]) {
    const id = there.annotationUID;
    if (!id) continue;
    const mark = wanted.get(id);
    const same = mark && JSON.stringify(markFrom(there)) === JSON.stringify(mark);
    if (same) wanted.delete(id);
    else if (known.has(there.metadata?.toolName ?? '')) annotations.state.removeAnnotation(id);
  }
  const left: Mark[] = [];
  for (const mark of wanted.values()) {
    const made = annotationFrom(mark);
    if (made) annotations.state.addAnnotation(made, mark.frameOfReference);
    else left.push(mark);
  }
  if (viewports.length > 0) utilities.triggerAnnotationRenderForViewportIds(viewports);
  return left;
}

/** Removes the marks that are selected; the one drawn last when none is. */
export function removeSelected(): boolean {
  const chosen = annotations.selection.getAnnotationsSelected();
  const marks = allMarks();
  const last = marks[marks.length - 1]?.id;
  const ids = chosen.length > 0 ? chosen : last ? [last] : [];
  ids.forEach((id) => annotations.state.removeAnnotation(id));
  return ids.length > 0;
}
