// Two languages, one file per area and language, fetched when an area is first shown. Texts are named `area:key`.
import i18next from 'i18next';
import { initReactI18next } from 'react-i18next';

export type Language = 'zh' | 'en';
const KEPT = 'medrelay.language';

const files = import.meta.glob<{ default: Record<string, unknown> }>('./*/*.json');

/** The language chosen on this machine, else the browser's, else Chinese. */
export function preferredLanguage(): Language {
  const kept = localStorage.getItem(KEPT);
  if (kept === 'zh' || kept === 'en') return kept;
  return navigator.language.toLowerCase().startsWith('en') ? 'en' : 'zh';
}

/** Loads what every page needs and starts in the preferred language. */
export async function startLanguages(): Promise<void> {
  await i18next
    .use({
      type: 'backend',
      read(language: string, area: string, done: (error: Error | null, texts: Record<string, unknown> | boolean) => void) {
        const load = files[`./${language}/${area}.json`];
        if (!load) return done(new Error(`no texts for ${language}/${area}`), false);
        load().then(
          (loaded) => done(null, loaded.default),
          (error: unknown) => done(error instanceof Error ? error : new Error(String(error)), false),
        );
      },
    })
    .use(initReactI18next)
    .init({
      lng: preferredLanguage(),
      fallbackLng: 'zh',
      supportedLngs: ['zh', 'en'],
      ns: ['common', 'shared'],
      defaultNS: 'common',
      interpolation: { escapeValue: false },
      react: { useSuspense: true },
    });
  document.documentElement.lang = i18next.language === 'en' ? 'en' : 'zh-CN';
}

/** Loads the texts of areas ahead of their pages: a page that finds its texts missing is shown late, since what stands in for it stays for 300 ms. */
export async function loadTexts(...areas: string[]): Promise<void> {
  await i18next.loadNamespaces(areas);
}

/** Changes the language of everything, and remembers it on this machine. */
export async function chooseLanguage(language: Language): Promise<void> {
  localStorage.setItem(KEPT, language);
  await i18next.changeLanguage(language);
  document.documentElement.lang = language === 'en' ? 'en' : 'zh-CN';
}
