// Codes for whoever has lost the second factor: shown once, to be printed or copied, and confirmed as put away.
import { PrinterOutlined } from '@ant-design/icons';
import { Alert, Button, Checkbox, Space } from 'antd';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { Copy } from '@/shared/Copy';

interface Props {
  codes: string[];
  login: string;
  onDone: () => void;
}

/** Prints the codes alone, in a frame of their own: the page around them stays off the paper. */
function print(title: string, note: string, codes: string[]): void {
  const frame = document.createElement('iframe');
  frame.style.cssText = 'position:fixed;width:0;height:0;border:0';
  document.body.append(frame);
  const page = frame.contentDocument;
  const view = frame.contentWindow;
  if (!page || !view) {
    frame.remove();
    return;
  }
  const add = (tag: string, text: string) => {
    const element = page.createElement(tag);
    element.textContent = text;
    page.body.append(element);
    return element;
  };
  add('h1', title);
  add('p', note);
  add('pre', codes.map((code, index) => `${String(index + 1).padStart(2)}.  ${code}`).join('\n')).style.font = '16px/2 monospace';
  view.addEventListener('afterprint', () => frame.remove());
  view.print();
}

export function RecoveryCodes({ codes, login, onDone }: Props) {
  const { t } = useTranslation(['account', 'common']);
  const [kept, setKept] = useState(false);
  return (
    <>
      <Alert type="warning" showIcon title={t('account:recovery.once')} description={t('account:recovery.lead')} style={{ marginBottom: 16 }} />
      <ol aria-label={t('account:recovery.list')} style={{ columns: 2, fontFamily: 'ui-monospace, monospace', fontSize: 15, lineHeight: 2, margin: '0 0 16px' }}>
        {codes.map((code) => (
          <li key={code}>{code}</li>
        ))}
      </ol>
      <Space wrap style={{ marginBottom: 16 }}>
        <Button icon={<PrinterOutlined />} onClick={() => print(t('account:recovery.printed', { login }), t('account:recovery.lead'), codes)}>
          {t('account:recovery.print')}
        </Button>
        <Copy text={codes.join('\n')} />
      </Space>
      <div>
        <Checkbox checked={kept} onChange={(event) => setKept(event.target.checked)}>
          {t('account:recovery.kept')}
        </Checkbox>
      </div>
      <Button type="primary" style={{ marginTop: 16 }} disabled={!kept} onClick={onDone}>
        {t('account:recovery.done')}
      </Button>
    </>
  );
}
