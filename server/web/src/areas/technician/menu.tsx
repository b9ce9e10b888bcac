// The lines of the menu that this area brings.
import { CloudUploadOutlined } from '@ant-design/icons';

import type { Entry } from '@/app/menu';

export const technicianMenu: Entry[] = [{ to: '/upload', text: 'technician:menu.upload', icon: <CloudUploadOutlined />, roles: ['technician'] }];
