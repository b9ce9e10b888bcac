// How the relay is, and what that means: good, to be watched, or to be mended now.

export interface System {
  version: string;
  started_at: number;
  now: number;
  ready: boolean;
  disk: { free: number; total: number; reserve: number } | null;
  database: { engine: string; bytes: number | null };
  blobs: { kind: string };
  jobs: { due: number; running: number; failed: number; oldest_due_at: number | null };
  queue: { ready: number; in_progress: number; overdue: number };
  deliveries: { parked: number };
  studies: { receiving: number; unmatched: number };
  quarantine: { open: number };
  gateways: { online: number; offline: number };
  certificate_until: number | null;
}

export type Level = 'good' | 'fair' | 'bad';

export interface Light {
  name: 'ready' | 'disk' | 'database' | 'jobs' | 'queue' | 'deliveries' | 'studies' | 'quarantine' | 'gateways' | 'certificate';
  level: Level;
  /** What goes into the words. */
  values: Record<string, string | number>;
}

const MINUTE = 60_000_000;
const DAY = 1_440 * MINUTE;
const GIGA = 1e9;

function sized(bytes: number): string {
  if (bytes < GIGA) return `${Math.ceil(bytes / 1e6)} MB`;
  return `${(bytes / GIGA).toFixed(bytes < 10 * GIGA ? 1 : 0)} GB`;
}

function worst(bad: boolean, fair: boolean): Level {
  return bad ? 'bad' : fair ? 'fair' : 'good';
}

/** Every light, in the order in which they are looked at. */
export function lightsOf(system: System): Light[] {
  const { disk, jobs, queue } = system;
  const usable = disk ? disk.free - disk.reserve : 0;
  const part = disk ? usable / Math.max(1, disk.total) : 1;
  const late = jobs.oldest_due_at ? Math.floor((system.now - jobs.oldest_due_at) / MINUTE) : 0;
  const days = system.certificate_until === null ? null : Math.floor((system.certificate_until - system.now) / DAY);
  const lights: (Light | null)[] = [
    { name: 'ready', level: system.ready ? 'good' : 'bad', values: { version: system.version } },
    disk && { name: 'disk', level: worst(part < 0.02 || usable < 3 * GIGA, part < 0.1), values: { free: sized(disk.free), total: sized(disk.total), reserve: sized(disk.reserve) } },
    { name: 'database', level: 'good', values: { engine: system.database.engine === 'sqlite' ? 'SQLite' : 'PostgreSQL', size: system.database.bytes === null ? '–' : sized(system.database.bytes) } },
    { name: 'jobs', level: worst(jobs.failed > 0 || late > 15, late > 2), values: { due: jobs.due, running: jobs.running, failed: jobs.failed, late } },
    { name: 'queue', level: worst(queue.overdue > 0, false), values: { ready: queue.ready, doing: queue.in_progress, overdue: queue.overdue } },
    { name: 'deliveries', level: worst(system.deliveries.parked > 0, false), values: { parked: system.deliveries.parked } },
    { name: 'studies', level: worst(false, system.studies.unmatched > 0), values: { receiving: system.studies.receiving, unmatched: system.studies.unmatched } },
    { name: 'quarantine', level: worst(false, system.quarantine.open > 0), values: { open: system.quarantine.open } },
    { name: 'gateways', level: worst(system.gateways.offline > 0 && system.gateways.online === 0, system.gateways.offline > 0), values: { online: system.gateways.online, offline: system.gateways.offline } },
    days === null ? null : { name: 'certificate', level: worst(days < 7, days < 21), values: { days } },
  ];
  return lights.filter((light): light is Light => light !== null);
}

/** The worst of them. */
export function overall(lights: Light[]): Level {
  return lights.some((light) => light.level === 'bad') ? 'bad' : lights.some((light) => light.level === 'fair') ? 'fair' : 'good';
}
