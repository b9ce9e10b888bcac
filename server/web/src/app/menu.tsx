// What stands in the menu for whom, and where somebody begins.
import type { ReactNode } from 'react';

import { accountMenu } from '@/areas/account/menu';
import { adminMenu } from '@/areas/admin/menu';
import { clinicMenu } from '@/areas/clinic/menu';
import { readerMenu } from '@/areas/reader/menu';
import { technicianMenu } from '@/areas/technician/menu';

import { chosenRole } from './roles';
import { has, type Me, type Role } from './session';

/** A line of the menu. `text` is a key such as `reader:menu.queue`. */
export interface Entry {
  to: string;
  text: string;
  icon: ReactNode;
  roles: readonly Role[];
  /** Where the pages behind it stand, if not below its own address. */
  behind?: string;
  /** Key of the heading that lines stand under together; without it a line stands by itself. */
  group?: string;
}

/** The menu of somebody, most used first; of one of their roles when they have chosen to work as that. */
export function menuOf(me: Me | null, role: Role | null = chosenRole(me)): Entry[] {
  const all = [...readerMenu, ...technicianMenu, ...clinicMenu, ...adminMenu, ...accountMenu];
  return all.filter((entry) => has(me, ...entry.roles) && (role === null || entry.roles.includes(role)));
}

/** The files of texts that the lines of a menu need. */
export function spacesOf(entries: Entry[]): string[] {
  return [...new Set(['common', ...entries.map((entry) => entry.text.split(':')[0] ?? 'common')])];
}

/** The page that somebody begins with. */
export function homeOf(me: Me): string {
  return menuOf(me)[0]?.to ?? '/account';
}
