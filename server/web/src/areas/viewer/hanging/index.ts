// The hanging protocols that come with the viewer: one JSON file each.
import type { Protocol } from './match';

const files = import.meta.glob<{ default: Protocol }>('./*.json', { eager: true });

export const protocols: Protocol[] = Object.values(files).map((file) => file.default);
