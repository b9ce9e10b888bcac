// The case page's side of two screens: opens the second window, tells it what to show, and takes what is marked there.
import { useCallback, useEffect, useRef, useState } from 'react';

import type { Session } from '../engine/session';
import type { ViewerProps, ViewState } from '../types';

import { openChannel } from './channel';

interface Second {
  /** Opens the second window; null where there is none. */
  open: (() => void) | null;
  /** The images are on the second window only. */
  away: boolean;
  back(): void;
  tell(state: ViewState): void;
}

export function useSecondWindow(props: ViewerProps, session: Session | null): Second {
  const { caseId } = props;
  const [away, setAway] = useState(false);
  const latest = useRef({ props, session });
  latest.current = { props, session };
  const channel = useRef<ReturnType<typeof openChannel> | null>(null);

  const sayCase = useCallback(() => {
    const { props: now, session: own } = latest.current;
    if (!now.caseId) return;
    channel.current?.say({
      kind: 'case',
      shown: {
        caseId: now.caseId,
        studies: now.studies,
        keymap: now.keymap,
        keyChanges: now.keyChanges ?? null,
        readOnly: now.readOnly ?? false,
        pixelsPerMillimetre: now.pixelsPerMillimetre ?? null,
        state: own?.state() ?? now.annotations ?? null,
      },
    });
  }, []);

  useEffect(() => {
    if (!caseId) return undefined;
    const open = openChannel((word) => {
      if (word.kind === 'hello') {
        sayCase();
        setAway(true);
      } else if (word.kind === 'seen' && word.caseId === latest.current.props.caseId) {
        latest.current.props.onSeen?.(word.share);
      } else if (word.kind === 'bye') {
        setAway(false);
      } else if (word.kind === 'state' && word.from === 'second' && word.caseId === latest.current.props.caseId) {
        latest.current.session?.take(word.state);
        latest.current.props.onAnnotations?.(word.state);
      }
    });
    channel.current = open;
    return () => {
      open.close();
      channel.current = null;
    };
  }, [caseId, sayCase]);

  const uids = props.studies.map((study) => study.uid).join(' ');
  useEffect(() => {
    if (session) sayCase();
  }, [session, uids, caseId, sayCase]);

  const tell = useCallback((state: ViewState) => {
    const id = latest.current.props.caseId;
    if (id) channel.current?.say({ kind: 'state', caseId: id, from: 'page', state });
  }, []);

  const open = useCallback(() => {
    window.open(`/viewer/${caseId}`, 'medrelay-viewer', 'popup,width=1280,height=960');
  }, [caseId]);

  return { open: caseId ? open : null, away, back: () => setAway(false), tell };
}
