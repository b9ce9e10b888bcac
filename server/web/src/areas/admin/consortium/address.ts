// The addresses that clinics type in: where gateways join, where devices send.

/** Where a gateway joins: this server over HTTPS; a page opened without it stands for a demonstration on one machine. */
export function joinAddress(): string {
  const { protocol, host, hostname } = window.location;
  return protocol === 'https:' ? `https://${host}` : `https://${hostname}:8443`;
}

/** The host that devices send to. */
export function dicomHost(): string {
  return window.location.hostname;
}
