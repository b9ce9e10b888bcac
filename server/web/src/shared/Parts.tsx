// Several texts in one line with dots between them. Each stands for itself: what turns the direction of writing in one leaves the others.
import { Fragment } from 'react';

export function Parts({ of }: { of: readonly (string | null | undefined)[] }) {
  return of.filter(Boolean).map((part, place) => (
    <Fragment key={place}>
      {place > 0 && ' · '}
      <bdi>{part}</bdi>
    </Fragment>
  ));
}
