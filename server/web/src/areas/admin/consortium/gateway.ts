// Gateways as the pages see them.
import type { Schemas } from '@/api/client';
import { now } from '@/shared/time';

import { usePaged, type Paged } from '../parts/paged';

export type Gateway = Schemas['GatewayBody'] & { clinic_name?: string; online?: boolean };

/** A gateway that has not been heard of for so long is not connected, where the relay does not say it itself. */
const SILENT = 90_000_000;

/** Whether a gateway is connected. */
export function isOnline(gateway: Gateway): boolean {
  if (gateway.revoked_at) return false;
  return gateway.online ?? (gateway.seen_at !== null && gateway.seen_at !== undefined && now() - gateway.seen_at < SILENT);
}

export type Device = Schemas['DeviceBody'] & { echoed_at?: number | null; stored_at?: number | null };

/** When a device was last heard of, in microseconds; 0 for never. */
export function heardAt(device: Device): number {
  return Math.max(device.echoed_at ?? 0, device.stored_at ?? 0);
}

/** Every device that sends straight to the relay. */
export function useDirect(): Paged<Device> {
  return usePaged<Device>(['devices'], '/api/v1/devices', {}, { limit: 200, every: 10_000 });
}

/** The gateways of a clinic, or all of them; asked again often enough to see one come and go. */
export function useGateways(clinic: string | null): Paged<Gateway> {
  return usePaged<Gateway>(['gateways'], '/api/v1/gateways', { clinic }, { limit: 200, every: 10_000 });
}
