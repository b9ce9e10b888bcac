// The addresses that clinics type in: where gateways join, where devices send. The relay says them; only the name by which this page
// was opened is a guess of ours where none is configured.
import { useQuery } from '@tanstack/react-query';

import { request } from '@/api/request';

export interface Connection {
  ae_title: string;
  dicom_port: number | null;
  dicom_tls_port: number | null;
  link_port: number;
  names: string[];
}

/** What is typed in at a device or a gateway. */
export function useConnection() {
  return useQuery({ queryKey: ['connection'], queryFn: () => request<Connection>('GET', '/api/v1/connection'), staleTime: 300_000 });
}

/** The name of this server for others: as configured, else the one by which this page was opened. */
export function hostOf(connection: Connection): string {
  const { hostname } = window.location;
  return connection.names.includes(hostname) ? hostname : (connection.names[0] ?? hostname);
}

/** Where a gateway joins. */
export function joinAddress(connection: Connection): string {
  const host = hostOf(connection);
  return `https://${host.includes(':') ? `[${host}]` : host}:${connection.link_port}`;
}

/** Whether a name leads nowhere but to the machine itself. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host === '[::1]' || /^127\./.test(host);
}

/** Where other machines open these pages, as far as it is known. */
export function pagesAddress(connection: Connection | undefined): string {
  const { hostname, origin } = window.location;
  return isLoopback(hostname) && connection && connection.names.length > 0 ? joinAddress(connection) : origin;
}
