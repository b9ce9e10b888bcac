// Sizes, speeds and times left, as a person says them.
import i18next from 'i18next';

/** 512 KB, 12.3 MB, 1.2 GB. */
export function bytesText(bytes: number): string {
  if (bytes <= 0) return '0 MB';
  if (bytes < 1e6) return `${Math.max(1, Math.round(bytes / 1e3))} KB`;
  if (bytes < 1e9) return `${(bytes / 1e6).toFixed(bytes < 1e8 ? 1 : 0)} MB`;
  return `${(bytes / 1e9).toFixed(1)} GB`;
}

/** How long it takes: to the second only where that is worth something. */
export function leftText(seconds: number): string {
  if (seconds < 60) return i18next.t('technician:left.seconds', { count: Math.max(5, Math.ceil(seconds / 5) * 5) });
  if (seconds < 3_600) return i18next.t('technician:left.minutes', { count: Math.ceil(seconds / 60) });
  return i18next.t('technician:left.hours', { hours: Math.floor(seconds / 3_600), minutes: Math.ceil((seconds % 3_600) / 60) });
}

/** The parts of the body that have words of their own. */
export const PARTS = [
  'CHEST', 'HEAD', 'BRAIN', 'NECK', 'ABDOMEN', 'PELVIS', 'CSPINE', 'TSPINE', 'LSPINE', 'SHOULDER', 'ELBOW', 'WRIST', 'HAND', 'HIP', 'KNEE', 'ANKLE', 'FOOT', 'HEART', 'BREAST', 'THYROID',
];

/** A part of the body in words; a code without words stays as it is. */
export function partText(part: string): string {
  return PARTS.includes(part) ? i18next.t(`technician:part.${part}`) : part;
}
