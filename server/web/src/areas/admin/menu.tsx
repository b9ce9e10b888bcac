// The lines of the menu that this area brings.
import {
  ApartmentOutlined,
  ApiOutlined,
  AuditOutlined,
  BarChartOutlined,
  CalendarOutlined,
  CloudServerOutlined,
  DesktopOutlined,
  DisconnectOutlined,
  FileTextOutlined,
  HeartOutlined,
  HomeOutlined,
  PhoneOutlined,
  SafetyCertificateOutlined,
  StopOutlined,
  SwapOutlined,
  TeamOutlined,
} from '@ant-design/icons';

import type { Entry } from '@/app/menu';

const CONSORTIUM = 'admin:menu.consortium';
const LINKS = 'admin:menu.links';
const RULES = 'admin:menu.rules';

export const adminMenu: Entry[] = [
  { to: '/chase', text: 'admin:menu.chase', icon: <PhoneOutlined />, roles: ['coordinator'] },
  { to: '/assign', text: 'admin:menu.assign', icon: <SwapOutlined />, roles: ['coordinator'] },
  { to: '/unmatched', text: 'admin:menu.unmatched', icon: <DisconnectOutlined />, roles: ['coordinator', 'technician'] },
  { to: '/quarantine', text: 'admin:menu.quarantine', icon: <StopOutlined />, roles: ['coordinator', 'technician'] },
  { to: '/admin', text: 'admin:menu.home', icon: <HomeOutlined />, roles: ['administrator'] },
  { to: '/organizations', text: 'admin:menu.organizations', icon: <ApartmentOutlined />, roles: ['administrator'], group: CONSORTIUM },
  { to: '/agreements', text: 'admin:menu.agreements', icon: <SafetyCertificateOutlined />, roles: ['administrator'], group: CONSORTIUM },
  { to: '/people', text: 'admin:menu.people', icon: <TeamOutlined />, roles: ['administrator'], group: CONSORTIUM },
  { to: '/clinics', text: 'admin:menu.clinics', icon: <ApiOutlined />, roles: ['administrator'], group: LINKS },
  { to: '/gateways', text: 'admin:menu.gateways', icon: <CloudServerOutlined />, roles: ['administrator'], group: LINKS },
  { to: '/devices', text: 'admin:menu.devices', icon: <DesktopOutlined />, roles: ['administrator', 'technician'], group: LINKS },
  { to: '/templates', text: 'admin:menu.templates', icon: <FileTextOutlined />, roles: ['administrator', 'coordinator', 'verifier'], group: RULES },
  { to: '/calendar', text: 'admin:menu.calendar', icon: <CalendarOutlined />, roles: ['administrator'], group: RULES },
  { to: '/statistics', text: 'admin:menu.statistics', icon: <BarChartOutlined />, roles: ['coordinator', 'administrator'] },
  { to: '/health', text: 'admin:menu.health', icon: <HeartOutlined />, roles: ['administrator'] },
  { to: '/audit', text: 'admin:menu.audit', icon: <AuditOutlined />, roles: ['auditor'] },
];
