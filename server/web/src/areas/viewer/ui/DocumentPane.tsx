// What is no image: a report or a paper of the study, with a link that opens it; the rest is named.
import { useTranslation } from 'react-i18next';

import { dateText, sequence, text, type Attributes } from '../dicom/json';
import { instancePath } from '../dicom/model';
import type { Pane } from '../engine/pane';
import { useSignal } from '../engine/signal';

const PDF = '1.2.840.10008.5.1.4.1.1.104.1';

export function DocumentPane({ pane }: { pane: Pane }) {
  const { t } = useTranslation('viewer');
  const { stack } = useSignal(pane.view);
  const set = stack?.object;
  if (!stack || !set) return null;
  const sop = text(set, '00080018') ?? '';
  const isPdf = text(set, '00080016') === PDF;
  const bulk = set['00420011']?.BulkDataURI;
  const path = bulk ? new URL(bulk, location.origin).pathname : `${instancePath(stack.study, stack.series, sop)}/bulkdata/00420011`;
  const lines = textsOf(set);
  return (
    <div className="mrv-document">
      <h3 dir="auto">{text(set, '00420010') ?? (stack.description || t('viewer:document.object'))}</h3>
      <p>{[stack.modality, dateText(text(set, '00080023') ?? text(set, '00080020'))].filter(Boolean).join(' · ')}</p>
      {isPdf && (
        <a href={path} target="_blank" rel="noreferrer">
          {t('viewer:document.open')}
        </a>
      )}
      {!isPdf && lines.length === 0 && <p>{t('viewer:document.unknown')}</p>}
      {lines.map((line, at) => (
        <p key={at} dir="auto">
          {line.name && <b>{line.name}：</b>}
          {line.value}
        </p>
      ))}
    </div>
  );
}

/** The texts, codes and numbers of a structured report, in its order. */
function textsOf(set: Attributes, deep = 0): { name: string; value: string }[] {
  if (deep > 12) return [];
  return sequence(set, '0040A730').flatMap((item) => {
    const name = text(sequence(item, '0040A043')[0], '00080104') ?? '';
    const measured = sequence(item, '0040A300')[0];
    const unit = text(sequence(measured, '004008EA')[0], '00080100') ?? '';
    const number = text(measured, '0040A30A');
    const value = text(item, '0040A160') ?? text(sequence(item, '0040A168')[0], '00080104') ?? (number ? `${number} ${unit}` : null);
    return [...(value ? [{ name, value }] : []), ...textsOf(item, deep + 1)];
  });
}
