// The lines of the menu that this area brings.
import { FileDoneOutlined, ProfileOutlined } from '@ant-design/icons';

import type { Entry } from '@/app/menu';

export const clinicMenu: Entry[] = [
  { to: '/reports', text: 'clinic:menu.reports', icon: <FileDoneOutlined />, roles: ['clinic_doctor', 'technician'] },
  { to: '/cases', text: 'clinic:menu.cases', icon: <ProfileOutlined />, roles: ['technician', 'clinic_doctor'] },
];
