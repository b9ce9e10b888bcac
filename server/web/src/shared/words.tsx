// The words of the codes that both sides use, in the language of the page.
import i18next from 'i18next';
import { useTranslation } from 'react-i18next';

import { FINDING_CODES, RETAKE, RETURN_CODES } from './codes';

/** What a critical finding's code means; a code that this version does not know stays as it is. */
export function findingWord(code: string): string {
  return (FINDING_CODES as readonly string[]).includes(code) ? i18next.t(`shared:finding.${code}`) : code;
}

/** What a return code means. */
export function returnWord(code: string): string {
  return (RETURN_CODES as readonly string[]).includes(code) ? i18next.t(`shared:return.${code}`) : code;
}

/** Why a case came back and what to do about it. */
export function ReturnReason({ code, text }: { code: string; text?: string | null }) {
  const { t } = useTranslation('shared');
  const known = (RETURN_CODES as readonly string[]).includes(code);
  return (
    <div>
      <strong>{returnWord(code)}</strong> · {RETAKE.has(code) ? t('shared:retake.yes') : t('shared:retake.no')}
      {known && <div>{t(`shared:advice.${code}`)}</div>}
      {text && <div style={{ whiteSpace: 'pre-wrap', overflowWrap: 'anywhere' }}>{text}</div>}
    </div>
  );
}
