// The lines of the menu that this area brings.
import { UnorderedListOutlined } from '@ant-design/icons';

import type { Entry } from '@/app/menu';

export const readerMenu: Entry[] = [{ to: '/queue', behind: '/case', text: 'reader:menu.queue', icon: <UnorderedListOutlined />, roles: ['reporter', 'verifier', 'coordinator'] }];
