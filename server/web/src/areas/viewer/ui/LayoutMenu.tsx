// Choosing a layout: a grid to point at, and the hanging protocols that fit.
import { Popover } from 'antd';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { chooseLayout } from '../engine/arrange';
import type { Engine } from '../engine/engine';
import { useSignal } from '../engine/signal';
import { chooseDrawing, drawingChoice, type DrawingChoice } from '../engine/start';

import { Icon } from './icons';

const ROWS = 3;
const COLUMNS = 4;

export function LayoutMenu({ engine }: { engine: Engine }) {
  const { t } = useTranslation('viewer');
  const [open, setOpen] = useState(false);
  return (
    <Popover open={open} onOpenChange={setOpen} trigger="click" placement="bottom" destroyOnHidden content={<Choice engine={engine} onChosen={() => setOpen(false)} />}>
      <button type="button" className="mrv-tool" aria-label={t('viewer:toolbar.layout')} title={t('viewer:toolbar.layout')} aria-haspopup="dialog" aria-expanded={open}>
        <Icon name="layout" />
      </button>
    </Popover>
  );
}

function Choice({ engine, onChosen }: { engine: Engine; onChosen(): void }) {
  const { t, i18n } = useTranslation('viewer');
  const { layout, protocol } = useSignal(engine.state);
  const [over, setOver] = useState<[number, number]>([layout.rows, layout.columns]);
  const language = i18n.language === 'en' ? 'en' : 'zh';
  const cells = Array.from({ length: ROWS * COLUMNS }, (_, at) => [Math.floor(at / COLUMNS) + 1, (at % COLUMNS) + 1] as [number, number]);
  return (
    <div className="mrv-layouts">
      <div className="mrv-grid" role="group" aria-label={t('viewer:layout.grid')} onMouseLeave={() => setOver([layout.rows, layout.columns])}>
        {cells.map(([rows, columns]) => (
          <button
            key={`${rows}x${columns}`}
            type="button"
            className={rows <= over[0] && columns <= over[1] ? 'mrv-on' : ''}
            aria-label={t('viewer:layout.cell', { rows, columns })}
            onMouseEnter={() => setOver([rows, columns])}
            onFocus={() => setOver([rows, columns])}
            onClick={() => {
              chooseLayout(engine, rows, columns);
              onChosen();
            }}
          />
        ))}
      </div>
      <div>
        {over[0]} × {over[1]}
      </div>
      <h4>{t('viewer:layout.protocols')}</h4>
      {engine.fitting().map((one) => (
        <button
          key={one.id}
          type="button"
          className="mrv-protocol"
          aria-pressed={one.id === protocol}
          onClick={() => {
            engine.hang(one.id);
            onChosen();
          }}
        >
          {one.name[language]}
        </button>
      ))}
      <label className="mrv-drawing">
        {t('viewer:drawing.by')}
        <select defaultValue={drawingChoice()} onChange={(event) => chooseDrawing(event.target.value as DrawingChoice)}>
          {(['auto', 'webgl', 'cpu'] as const).map((choice) => (
            <option key={choice} value={choice}>
              {t(`viewer:drawing.choice_${choice}`)}
            </option>
          ))}
        </select>
      </label>
    </div>
  );
}
