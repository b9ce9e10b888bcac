// What follows a right password: the session is taken over, then one goes where one was, or must set something up first.
import { router } from '@/app/router';
import { homeOf } from '@/app/menu';
import { begin, refresh, type Me } from '@/app/session';

import type { Begun } from './api';

let last: string | null = null;

/** Remembers whose page it was, so that somebody else does not land on it. */
export function rememberWho(id: string): void {
  last = id;
}

/** Takes a new session over and asks what came with it. */
export async function take(session: Begun): Promise<Me> {
  await begin(session.person, session.csrf_token ?? null);
  return (await refresh()) ?? session.person;
}

/** Goes on to the page that is due. */
export function goOn(me: Me, back?: string): void {
  const own = last === null || last === me.id;
  if (me.must_enrol) router.history.push('/enrol');
  else router.history.push(back && own ? back : homeOf(me));
}
