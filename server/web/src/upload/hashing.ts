// The hashes of a study's images, which its manifest announces before the first byte goes.
import type { Instance } from './group';
import type { Entry } from './manifest';
import type { Pool } from './pool';
import type { Upload } from './sendings';

/** Objects that are hashed at once beside what is packed. */
const TOGETHER = 4;

/** Hashes every image; what cannot be read is left out, and told. Ends early when it is no longer wanted. */
export async function hashAll(pool: Pool, upload: Upload, wanted: () => boolean, show: () => void): Promise<{ instances: Instance[]; entries: Entry[] }> {
  const instances = upload.instances.filter((one) => one !== null);
  const found = new Array<Entry | null>(instances.length).fill(null);
  let next = 0;
  const work = async () => {
    while (next < instances.length && wanted()) {
      const at = next;
      next += 1;
      const { content, facts, path } = instances[at]!;
      const result = await pool.run({ do: 'hash', content, start: facts.start }, () => upload.urgency);
      upload.hashed += 1;
      const { sop, sopClass, syntax, bytes } = facts;
      if (result.did === 'hash' && result.bytes === bytes) found[at] = { sop, sopClass, syntax, bytes, sha256: result.sha256 };
      else upload.fault('unreadable', path);
      show();
    }
  };
  await Promise.all(Array.from({ length: TOGETHER }, work));
  return { instances: instances.filter((_, at) => found[at] !== null), entries: found.filter((entry) => entry !== null) };
}
