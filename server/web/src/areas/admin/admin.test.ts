// What the pages of this area compute: files for spreadsheets, periods, candidates, calendars, lights.
import { describe, expect, it } from 'vitest';

import { compared, otherPatient, ranked } from './desk/candidates';
import type { Order, Study } from './desk/api';
import { dateField, daysOf, spanBetween, spanOf } from './desk/periods';
import { roundUp } from './parts/Charts';
import { cell, csv } from './parts/csv';
import { copyToWorkdays, faultOf, isWorked, marked, nextMark, usualWeek, type Kept } from './system/calendars';
import { lightsOf, overall, type System } from './system/status';
import { packed, unpacked, type Template } from './system/templates';

describe('a file for a spreadsheet', () => {
  it('runs nothing', () => {
    for (const text of ['=1+1', '+A1', '-A1', '@SUM(A1)', '\t=1', ' =1', '|cmd', '%0']) expect(cell(text).startsWith(`"'`)).toBe(true);
    expect(cell(-5)).toBe('-5');
  });
  it('quotes what would end a cell, and is marked as UTF-8', () => {
    expect(cell('a"b,c\nd')).toBe('"a""b,c\nd"');
    expect(csv([['名', null], ['张', 1]])).toBe('\uFEFF名,\r\n张,1\r\n');
  });
});

describe('periods', () => {
  const at = new Date(2026, 10, 22, 7, 30);
  it('begin at local midnights, weeks on Monday', () => {
    expect(dateField(spanOf('week', at).from)).toBe('2026-11-16');
    expect(dateField(spanOf('lastMonth', at).from)).toBe('2026-10-01');
    expect(dateField(spanOf('lastMonth', at).to)).toBe('2026-11-01');
    expect(dateField(spanOf('quarter', at).from)).toBe('2026-10-01');
    expect(spanOf('yesterday', at).to).toBe(spanOf('today', at).from);
  });
  it('hold both days that were typed, and no span backwards', () => {
    const span = spanBetween('2026-11-20', '2026-11-21');
    expect(span && daysOf(span, at.getTime() * 1_000)).toEqual(['2026-11-20', '2026-11-21']);
    expect(spanBetween('2026-11-21', '2026-11-20')).toBeNull();
    expect(spanBetween('', '2026-11-20')).toBeNull();
  });
});

describe('an order for a study', () => {
  const study = { patient: '张三', patient_name: 'ZHANG^SAN=张^三', patient_id: 'P1', patient_sex: 'M', patient_birth_date: '19700102', modality: 'CT', uid: '1.2', first_at: 100, accession: null, body_part: 'CHEST' } as unknown as Study;
  const order = (more: Partial<Order>) => ({ patient_name: '张三', patient_id: 'P1', patient_sex: 'M', patient_birth_date: '1970-01-02', modality: 'CT', created_at: 50, ...more }) as Order;
  it('is told by what both sides say', () => {
    const right = compared(study, order({}));
    expect(otherPatient(right)).toBe(false);
    expect(right.fields.find((field) => field.name === 'accession')?.same).toBeNull();
    expect(compared(study, order({ patient_name: 'Zhang San' })).fields[0]?.same).toBe(true);
    expect(otherPatient(compared(study, order({ patient_sex: 'F' })))).toBe(true);
  });
  it('stands first when it is most alike', () => {
    const other = order({ id: 'other', patient_name: '李四', patient_id: 'P2' });
    expect(ranked(study, [other, order({ id: 'right' })])[0]?.order.id).toBe('right');
  });
});

describe('a calendar', () => {
  const kept: Kept = { week: usualWeek(), holidays: [], workdays: [], offset_minutes: 480, version: 1 };
  it('knows holidays and make-up days', () => {
    const friday = { ...kept, ...marked(kept, '2026-10-02', 'holiday') };
    expect(isWorked(kept, '2026-10-02')).toBe(true);
    expect(isWorked(friday, '2026-10-02')).toBe(false);
    expect(nextMark(kept, '2026-10-04')).toBe('makeup');
    expect(nextMark(friday, '2026-10-02')).toBe('none');
    expect(marked(friday, '2026-10-02', 'makeup')).toEqual({ holidays: [], workdays: ['2026-10-02'] });
  });
  it('refuses times that are none, and overlaps', () => {
    expect(faultOf(kept)).toBeNull();
    expect(faultOf({ ...kept, week: [[['8:00', '12:00']]] })).toBe('time');
    expect(faultOf({ ...kept, week: [[['12:00', '08:00']]] })).toBe('time');
    expect(faultOf({ ...kept, week: [[['08:00', '12:00'], ['11:00', '13:00']]] })).toBe('order');
  });
  it('copies Monday to the working days only', () => {
    const week = copyToWorkdays([[['09:00', '10:00']], [], [], [], [], [], []]);
    expect(week[4]).toEqual([['09:00', '10:00']]);
    expect(week[5]).toEqual([]);
  });
});

describe('lights', () => {
  const system: System = {
    version: '1', started_at: 0, now: 0, ready: true, disk: { free: 9e11, total: 1e12, reserve: 0 }, database: { engine: 'sqlite', bytes: 1 }, blobs: { kind: 'directory' },
    jobs: { due: 0, running: 0, failed: 0, oldest_due_at: null }, queue: { ready: 0, in_progress: 0, overdue: 0 }, deliveries: { parked: 0 }, studies: { receiving: 0, unmatched: 0 },
    quarantine: { open: 0 }, gateways: { online: 1, offline: 0 }, certificate_until: null,
  };
  it('are green, amber and red', () => {
    expect(overall(lightsOf(system))).toBe('good');
    expect(overall(lightsOf({ ...system, quarantine: { open: 1 } }))).toBe('fair');
    expect(overall(lightsOf({ ...system, deliveries: { parked: 1 } }))).toBe('bad');
    expect(overall(lightsOf({ ...system, disk: { free: 1e9, total: 1e12, reserve: 0 } }))).toBe('bad');
  });
});

describe('texts for reports', () => {
  it('come back from a file as they went, without numbers of this relay', () => {
    const template = { id: 'x', organization: 'o', person: null, kind: 'phrase', name: '名', shortcut: 's', modality: '', body_part: '', findings: '<b>文</b>', impression: '', recommendation: '', version: 3 } as Template;
    const file = packed([template]);
    expect(file).not.toContain('"id"');
    expect(unpacked(`\uFEFF${file}`)[0]).toMatchObject({ kind: 'phrase', name: '名', findings: '<b>文</b>' });
    expect(() => unpacked('{"items":[]}')).toThrow();
  });
});

it('scales end at round numbers', () => {
  expect([0, 3, 7, 11, 99, 1234].map(roundUp)).toEqual([2, 4, 8, 12, 100, 1600]);
});
