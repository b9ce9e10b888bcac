// Where the browser side starts.
import { createRoot } from 'react-dom/client';

import { App } from '@/app/App';
import { startLanguages } from '@/i18n';
import '@/app/global.css';

const root = document.getElementById('root');
if (root) {
  await startLanguages();
  createRoot(root).render(<App />);
}
