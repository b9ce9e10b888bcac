// How soon a case is wanted: a word, a sign and a colour.
import { useTranslation } from 'react-i18next';

import './shared.css';

const SIGNS: Record<string, string> = { stat: '!!', urgent: '!', routine: '' };

export function PriorityTag({ priority }: { priority: string }) {
  const { t } = useTranslation('shared');
  const known = priority in SIGNS ? priority : 'routine';
  const sign = SIGNS[known];
  return (
    <span className={`tag priority-${known}`}>
      {sign && <b aria-hidden>{sign} </b>}
      {t(`shared:priority.${known}`)}
    </span>
  );
}
