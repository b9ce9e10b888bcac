// Which of two examinations was later, by their days as DICOM or the interface write them.

const plain = (day: string | null | undefined): string => (day ?? '').replace(/\D/g, '').slice(0, 8);

/** Whether a day is after another one; days that are not known, and the same day, are not. */
export function isLater(day: string | null | undefined, than: string | null | undefined): boolean {
  const [a, b] = [plain(day), plain(than)];
  return a.length === 8 && b.length === 8 && a > b;
}
