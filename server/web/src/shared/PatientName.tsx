// Whom it is about: the name in characters first, then in Latin letters; sex and age beside it.
import { useTranslation } from 'react-i18next';

import { age } from './time';

import './shared.css';

const CHARACTERS = /[\u2E80-\u9FFF\uF900-\uFAFF\u{20000}-\u{3FFFF}]/u;

function plain(group: string): string {
  return group.replaceAll('^', ' ').replace(/\s+/g, ' ').trim();
}

/** The parts of a name, whether it is one text or the groups of a DICOM name (`ZHANG^SAN=张^三`). */
export function nameParts(name: string): { first: string; second: string | null } {
  const groups = name.split('=').map(plain).filter(Boolean);
  const written = groups.find((group) => CHARACTERS.test(group));
  const latin = groups.find((group) => !CHARACTERS.test(group));
  if (written === undefined) return { first: latin ?? '', second: null };
  // Characters are written without a space between family and given name.
  const joined = written.replace(/(?<=[\u2E80-\u9FFF\uF900-\uFAFF\u{20000}-\u{3FFFF}]) (?=[\u2E80-\u9FFF\uF900-\uFAFF\u{20000}-\u{3FFFF}])/gu, '');
  return { first: joined, second: latin ?? null };
}

export function PatientName({ name }: { name: string | null | undefined }) {
  const { t } = useTranslation('shared');
  const { first, second } = nameParts(name ?? '');
  if (first === '') return <span className="quiet">{t('shared:patient.noName')}</span>;
  return (
    <bdi className="patient-name">
      <span>{first}</span>
      {second && <span className="quiet"> {second}</span>}
    </bdi>
  );
}

/** 男 43岁: `birth` and `on` (the day of the examination; today when it is not known) as DICOM dates. */
export function SexAge({ sex, birth, on }: { sex: string | null | undefined; birth: string | null | undefined; on?: string | null }) {
  const { t } = useTranslation('shared');
  const old = age(birth, on ?? null);
  const known = sex === 'M' || sex === 'F' || sex === 'O' ? sex : 'unknown';
  const parts = [t(`shared:sex.${known}`), old ? t(`shared:age.${old.unit}`, { count: old.count }) : t('shared:age.unknown')];
  return <span>{parts.join(' ')}</span>;
}
