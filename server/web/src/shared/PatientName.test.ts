// Names: characters first, without spaces between them.
import { expect, test } from 'vitest';

import { nameParts } from './PatientName';

test.each([
  ['ZHANG^XIAO DONG=张^小东', '张小东', 'ZHANG XIAO DONG'],
  ['张小东', '张小东', null],
  ['ZHANG^SAN', 'ZHANG SAN', null],
  ['Ouyang^Jianguo=欧阳^建国=', '欧阳建国', 'Ouyang Jianguo'],
  ['=𠮷^田', '𠮷田', null],
  ['', '', null],
])('%s', (name, first, second) => {
  expect(nameParts(name)).toEqual({ first, second });
});
