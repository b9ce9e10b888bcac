// The check of a display: what it shows, how sharp, how large, and what this machine draws with. Its result follows the account.
import { Alert, Button, Descriptions, Radio, Slider, Space, Typography } from 'antd';
import { useState, type ReactNode } from 'react';
import { useTranslation } from 'react-i18next';

import { now } from '@/shared/time';

import { graphics, secondScreen } from './graphics';
import { useChecked } from './liking';
import { CARD, CardOutline, GreySteps, SharpLines } from './patterns';

/** 96 CSS pixels to the inch: what a browser believes before somebody measures. */
const BELIEVED = 96 / 25.4;

function Part({ title, children }: { title: string; children: ReactNode }) {
  return (
    <section style={{ marginBottom: 28 }}>
      <Typography.Title level={3} style={{ fontSize: 16 }}>
        {title}
      </Typography.Title>
      {children}
    </section>
  );
}

function Answer({ question, value, onChange }: { question: string; value: boolean | null; onChange: (value: boolean) => void }) {
  const { t } = useTranslation(['account', 'common']);
  return (
    <fieldset style={{ border: 0, padding: 0, margin: '8px 0 0' }}>
      <legend style={{ padding: 0, marginBottom: 4 }}>{question}</legend>
      <Radio.Group value={value} onChange={(event) => onChange(event.target.value as boolean)} options={[{ value: true, label: t('account:display.yes') }, { value: false, label: t('account:display.no') }]} />
    </fieldset>
  );
}

export function DisplayCheck({ onDone, doneText }: { onDone?: () => void; doneText?: string }) {
  const { t } = useTranslation(['account', 'common']);
  const [checked, keep] = useChecked();
  const [drawing] = useState(graphics);
  const [grey, setGrey] = useState<boolean | null>(checked?.grey ?? null);
  const [lines, setLines] = useState<boolean | null>(checked?.lines ?? null);
  const [pxPerMm, setPxPerMm] = useState(checked?.pxPerMm ?? BELIEVED);
  const [measured, setMeasured] = useState(checked?.pxPerMm !== undefined && checked.pxPerMm !== null);
  const [saved, setSaved] = useState(false);
  const ratio = window.devicePixelRatio || 1;
  const second = secondScreen();
  const size = { width: Math.round(window.screen.width * ratio), height: Math.round(window.screen.height * ratio) };
  const millions = (size.width * size.height) / 1e6;

  function save() {
    keep({ at: now(), webgl: drawing.webgl, software: drawing.software, pxPerMm: measured ? pxPerMm : null, ratio, ...size, grey, lines, second });
    setSaved(true);
    onDone?.();
  }

  const facts = [
    { key: 'drawing', label: t('account:display.drawing'), children: drawing.webgl && !drawing.software ? t('account:display.gpu', { name: drawing.name }) : t('account:display.cpu') },
    { key: 'size', label: t('account:display.size'), children: `${size.width} × ${size.height} (${millions.toFixed(1)} MP)` },
    { key: 'pixel', label: t('account:display.pixel'), children: measured ? t('account:display.pixelMm', { size: (1 / (pxPerMm * ratio)).toFixed(3) }) : t('account:display.unmeasured') },
    { key: 'second', label: t('account:display.second'), children: second ? t('account:display.secondYes') : t('account:display.secondNo') },
  ];
  return (
    <div>
      <Typography.Paragraph type="secondary">{t('account:display.lead')}</Typography.Paragraph>
      <Part title={t('account:display.grey')}>
        <GreySteps label={t('account:display.greyPicture')} />
        <Answer question={t('account:display.greyAsk')} value={grey} onChange={setGrey} />
        {grey === false && <Alert type="warning" showIcon title={t('account:display.greyHelp')} style={{ marginTop: 8 }} />}
      </Part>
      <Part title={t('account:display.lines')}>
        <SharpLines label={t('account:display.linesPicture')} />
        <Answer question={t('account:display.linesAsk')} value={lines} onChange={setLines} />
        {lines === false && <Alert type="warning" showIcon title={t('account:display.linesHelp')} style={{ marginTop: 8 }} />}
      </Part>
      <Part title={t('account:display.ruler')}>
        <Typography.Paragraph>{t('account:display.rulerHelp')}</Typography.Paragraph>
        <Slider
          min={CARD.wide * 2}
          max={CARD.wide * 9}
          step={0.5}
          value={CARD.wide * pxPerMm}
          tooltip={{ formatter: null }}
          ariaLabelForHandle={t('account:display.rulerSlider')}
          onChange={(wide: number) => {
            setPxPerMm(wide / CARD.wide);
            setMeasured(true);
          }}
        />
        <CardOutline pxPerMm={pxPerMm} label={t('account:display.card')} />
      </Part>
      <Part title={t('account:display.machine')}>
        <Descriptions size="small" column={1} bordered items={facts} />
        {!drawing.webgl || drawing.software ? <Alert type="info" showIcon title={t('account:display.cpuHelp')} style={{ marginTop: 8 }} /> : null}
        {millions < 2.9 && <Alert type="info" showIcon title={t('account:display.small')} style={{ marginTop: 8 }} />}
      </Part>
      <Space wrap>
        <Button type="primary" onClick={save}>
          {doneText ?? t('account:display.save')}
        </Button>
        {saved && <span role="status">{t('account:display.saved')}</span>}
      </Space>
    </div>
  );
}
