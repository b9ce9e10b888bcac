// What has to be seen before a study is sent: the gravest first, in a sentence and with what to do.
import { Alert } from 'antd';
import { useTranslation } from 'react-i18next';

import { nameParts } from '@/shared/PatientName';
import { BLOCKING, type Issue, TO_EXPLAIN } from '@/upload/group';
import type { Draft } from '@/upload';

const GRAVITY: Issue[] = ['patientsInStudy', 'tooMany', 'noName', 'noId', 'patientsTogether', 'identityVaries', 'otherBytes', 'tooLarge', 'noImages', 'guessedText'];
const RED: Issue[] = [...BLOCKING, ...TO_EXPLAIN, 'patientsTogether', 'otherBytes', 'tooLarge'];

/** Whether something is so wrong that the study must not be sent unseen. */
export function isRed(draft: Draft): boolean {
  return draft.issues.some((issue) => RED.includes(issue));
}

/** Whether the study cannot be sent as it is. */
export function isBlocked(draft: Draft): boolean {
  return draft.issues.some((issue) => BLOCKING.includes(issue));
}

export function StudyIssues({ draft }: { draft: Draft }) {
  const { t } = useTranslation('technician');
  const mixed = draft.issues.includes('patientsInStudy');
  // Two patients in one study are two patients in one folder, too: said once.
  const issues = GRAVITY.filter((issue) => draft.issues.includes(issue) && !(mixed && issue === 'patientsTogether'));
  return (
    <>
      {issues.map((issue) => (
        <Alert
          key={issue}
          role="alert"
          showIcon
          type={RED.includes(issue) ? 'error' : 'warning'}
          title={t(`technician:issue.${issue}`, { count: draft.conflicts, others: draft.others.map((name) => nameParts(name).first).join(t('technician:issue.and')) })}
        />
      ))}
    </>
  );
}
