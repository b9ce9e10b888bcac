// Ultrasound's own scale: the regions of an image and what a pixel of them means.
import { number, sequence } from './json';
import type { Frame } from './model';

/** What Cornerstone calls a calibration; undefined where the pixel spacing is all there is. */
export function calibrated(frame: Frame): unknown {
  const regions = sequence(frame.set, '00186011');
  if (regions.length === 0) return undefined;
  const of = (tag: string) => (region: (typeof regions)[number]) => number(region, tag) ?? 0;
  return {
    sequenceOfUltrasoundRegions: regions.map((region) => ({
      regionLocationMinX0: of('00186018')(region),
      regionLocationMinY0: of('0018601A')(region),
      regionLocationMaxX1: of('0018601C')(region),
      regionLocationMaxY1: of('0018601E')(region),
      referencePixelX0: of('00186020')(region),
      referencePixelY0: of('00186022')(region),
      physicalUnitsXDirection: of('00186024')(region),
      physicalUnitsYDirection: of('00186026')(region),
      physicalDeltaX: of('0018602C')(region),
      physicalDeltaY: of('0018602E')(region),
      regionSpatialFormat: of('00186012')(region),
      regionDataType: of('00186014')(region),
      regionFlags: of('00186016')(region),
    })),
  };
}

/** Whether lengths on this image mean something: by spacing or by an ultrasound region in centimetres. */
export function hasScale(frame: Frame): boolean {
  if (frame.calibration !== 'none') return true;
  return sequence(frame.set, '00186011').some((region) => number(region, '00186024') === 3 && number(region, '00186026') === 3);
}
