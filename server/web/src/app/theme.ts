// Light and dark: as the system says, unless chosen. The viewer is always dark.
import { theme, type ThemeConfig } from 'antd';
import { useSyncExternalStore } from 'react';

export type Choice = 'system' | 'light' | 'dark';
const KEPT = 'medrelay.theme';
const system = window.matchMedia('(prefers-color-scheme: dark)');
const listeners = new Set<() => void>();

/** What is chosen on this machine. */
export function themeChoice(): Choice {
  const kept = localStorage.getItem(KEPT);
  return kept === 'light' || kept === 'dark' ? kept : 'system';
}

/** Chooses, and remembers it on this machine. */
export function chooseTheme(choice: Choice): void {
  if (choice === 'system') localStorage.removeItem(KEPT);
  else localStorage.setItem(KEPT, choice);
  listeners.forEach((call) => call());
}

function isDark(): boolean {
  const choice = themeChoice();
  return choice === 'system' ? system.matches : choice === 'dark';
}

function follow(call: () => void): () => void {
  listeners.add(call);
  system.addEventListener('change', call);
  return () => {
    listeners.delete(call);
    system.removeEventListener('change', call);
  };
}

/** Whether everything is dark now. */
export function useTheme(): boolean {
  const dark = useSyncExternalStore(follow, isDark);
  document.documentElement.dataset['theme'] = dark ? 'dark' : 'light';
  return dark;
}

/** The components' theme: contrast of text at least 4.5:1 (WCAG 2.2 AA). */
export function themeOf(dark: boolean): ThemeConfig {
  return {
    algorithm: dark ? theme.darkAlgorithm : theme.defaultAlgorithm,
    token: {
      colorPrimary: dark ? '#3aa6aa' : '#0b6b6f',
      colorLink: dark ? '#5cc4c8' : '#0b6b6f',
      colorTextPlaceholder: dark ? '#a3adb8' : '#667280',
      colorTextDescription: dark ? '#b5bec8' : '#56616d',
      colorTextTertiary: dark ? '#a3adb8' : '#5f6b76',
      colorError: dark ? '#ff8a85' : '#b00d1b',
      colorSuccess: dark ? '#6fd08f' : '#136c36',
      colorWarning: dark ? '#f0b84a' : '#8a5a00',
      colorInfo: dark ? '#74b3ff' : '#0b57b7',
      // Grounds made of dark colours would be grey.
      ...(dark ? {} : { colorSuccessBg: '#eaf7ee', colorWarningBg: '#fff4e0', colorErrorBg: '#fdecec', colorInfoBg: '#e9f2fd' }),
      borderRadius: 6,
      fontFamily: 'inherit',
    },
    // White on the lighter primary and red of the dark theme would be too faint.
    components: { Button: { primaryColor: dark ? '#001718' : '#ffffff', dangerColor: dark ? '#210405' : '#ffffff' } },
  };
}
