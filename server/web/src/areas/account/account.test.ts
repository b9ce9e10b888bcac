// The rules for a new password, as they are ticked off while typing.
import { describe, expect, it } from 'vitest';

import { fits, judged } from './passwords';

describe('a new password', () => {
  it('is long, of different characters, not the account name, not a run', () => {
    expect(fits('山高水长 river 2026', 'li')).toBe(true);
    expect(judged('short', 'li').length).toBe(false);
    expect(judged('aaaaaaaaaaaaaa', 'li').different).toBe(false);
    expect(judged('adminadminadmin', 'admin').login).toBe(false);
    expect(judged('123456789012', 'li').common).toBe(false);
    expect(judged('zyxwvutsrqpo', 'li').common).toBe(false);
  });
});
