// Language and theme of everything on this machine.
import { Card, Form, Segmented } from 'antd';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { chooseTheme, themeChoice, type Choice } from '@/app/theme';
import { chooseLanguage, type Language } from '@/i18n';

export function Looks() {
  const { t, i18n } = useTranslation(['account', 'common']);
  const [theme, setTheme] = useState<Choice>(themeChoice);
  return (
    <Card size="small" title={t('account:looks.title')}>
      <Form layout="vertical">
        <Form.Item label={t('account:looks.language')}>
          <Segmented<Language>
            value={i18n.language === 'en' ? 'en' : 'zh'}
            onChange={(language) => void chooseLanguage(language)}
            options={[
              { value: 'zh', label: '中文' },
              { value: 'en', label: 'English' },
            ]}
          />
        </Form.Item>
        <Form.Item label={t('account:looks.theme')} style={{ marginBottom: 0 }}>
          <Segmented<Choice>
            value={theme}
            onChange={(choice) => {
              chooseTheme(choice);
              setTheme(choice);
            }}
            options={[
              { value: 'system', label: t('account:looks.system') },
              { value: 'light', label: t('account:looks.light') },
              { value: 'dark', label: t('account:looks.dark') },
            ]}
          />
        </Form.Item>
      </Form>
    </Card>
  );
}
