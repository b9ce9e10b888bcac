// Two texts and what differs between them, section by section; marked by strike-through and underline, not by colour alone.
import { useMemo } from 'react';
import { useTranslation } from 'react-i18next';

import type { Writing } from '../api';
import { differences } from './diff';
import type { Section } from './phrases';
import { SECTIONS } from './ReportView';

function Difference({ before, after }: { before: string; after: string }) {
  const pieces = useMemo(() => differences(before, after), [before, after]);
  return (
    <p className="diff">
      {pieces.map((piece, index) => {
        if (piece.kind === 'gone') return <del key={index}>{piece.text}</del>;
        if (piece.kind === 'new') return <ins key={index}>{piece.text}</ins>;
        return <span key={index}>{piece.text}</span>;
      })}
    </p>
  );
}

export function DiffView({ before, after }: { before: Writing; after: Writing }) {
  const { t } = useTranslation('reader');
  const changed = SECTIONS.filter((section: Section) => before[section] !== after[section]);
  if (changed.length === 0) return <p className="quiet">{t('reader:diff.same')}</p>;
  return (
    <>
      {SECTIONS.filter((section) => before[section] !== '' || after[section] !== '').map((section) => (
        <div key={section}>
          <strong>{t(`reader:section.${section}`)}</strong>
          <Difference before={before[section]} after={after[section]} />
        </div>
      ))}
    </>
  );
}
