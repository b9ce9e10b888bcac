// The lines of the menu that this area brings.
import type { Entry } from '@/app/menu';

export const clinicMenu: Entry[] = [];
