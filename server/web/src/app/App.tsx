// Everything around the pages: theme, language of the components, data cache, session, router.
import { QueryClientProvider } from '@tanstack/react-query';
import { RouterProvider } from '@tanstack/react-router';
import { App as Messages, ConfigProvider } from 'antd';
import enUS from 'antd/locale/en_US';
import zhCN from 'antd/locale/zh_CN';
import { Suspense } from 'react';
import { useTranslation } from 'react-i18next';

import { queries } from './queries';
import { router } from './router';
import { themeOf, useTheme } from './theme';

export function App() {
  const { i18n } = useTranslation();
  const dark = useTheme();
  return (
    <ConfigProvider locale={i18n.language === 'en' ? enUS : zhCN} theme={themeOf(dark)}>
      <Messages style={{ height: '100%' }}>
        <QueryClientProvider client={queries}>
          <Suspense fallback={null}>
            <RouterProvider router={router} />
          </Suspense>
        </QueryClientProvider>
      </Messages>
    </ConfigProvider>
  );
}
