// One case: images and report side by side, the request in sight, everything that can be done with it. Its address has only its id.
import { useNavigate, useParams } from '@tanstack/react-router';
import { Button, Grid, Segmented, Select, Skeleton, Tabs } from 'antd';
import { useCallback, useEffect, useMemo, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { has, useMe } from '@/app/session';
import { ConfirmText } from '@/shared/ConfirmText';
import { Trouble } from '@/shared/Trouble';

import { queuePage, releaseCase, type CaseDetail, type Report } from '../api';
import { NO_FILTER } from '../queue/filters';
import { useOpening } from '../queue/useOpening';
import { Addendum } from '../report/Addendum';
import { Editor, type EditorHandle } from '../report/Editor';
import { ReportView } from '../report/ReportView';
import { SignDialog, type Critical } from '../report/SignDialog';
import { useSigning } from '../report/useSigning';
import { Versions } from '../report/Versions';
import { fetchAhead } from './ahead';
import { Asked, CaseBar } from './CaseBar';
import { CaseViewer } from './CaseViewer';
import { dropProof } from './claims';
import { CriticalDialog } from './CriticalDialog';
import { Discussion } from './Discussion';
import { Findings } from './Findings';
import { Notes } from './Notes';
import { inTime, Priors } from './Priors';
import { Request } from './Request';
import { ReturnDialog } from './ReturnDialog';
import { Split } from './Split';
import { refreshCase, useCase, useFindings, useMessages, usePriors, useReports } from './useCase';
import { useCaseKeys } from './useCaseKeys';
import { useReading } from './useReading';

import './case.css';

const SIGNED = new Set(['final', 'delivered', 'closed']);

/** Fetches the images of what is likely to come next while this case is read. */
function useNextAhead(reading: boolean, verifier: boolean, id: string): void {
  useEffect(() => {
    if (!reading) return undefined;
    const timer = setTimeout(() => {
      queuePage(NO_FILTER, 0, 10).then(
        (page) => {
          const next = page.items.find((line) => !line.case.hold && line.case.id !== id && (verifier || line.case.policy === 'double'))?.study_uid;
          if (next) fetchAhead(next);
        },
        () => undefined,
      );
    }, 5_000);
    return () => clearTimeout(timer);
  }, [reading, verifier, id]);
}

function Room({ detail, open, onOpen }: { detail: CaseDetail; open: string | null; onOpen: (name: string | null) => void }) {
  const { t } = useTranslation('reader');
  const { id, modality, stage, hold, policy, preliminary_by: author } = detail.case;
  const me = useMe();
  const navigate = useNavigate();
  const narrow = !(Grid.useBreakpoint().md ?? true);
  const [face, setFace] = useState<'images' | 'report'>('images');
  const [tab, setTab] = useState('report');
  const [critical, setCritical] = useState<Critical>(null);
  const editor = useRef<EditorHandle>(null);
  const images = useRef<HTMLDivElement>(null);
  // Asked for when the report is signed: the page is not drawn again for every image that is looked at.
  const seen = useRef<number | null>(null);
  const onSeen = useCallback((share: number) => {
    seen.current = Math.max(seen.current ?? 0, Math.floor(share * 100));
  }, []);
  const reading = useReading(id, detail);
  const opening = useOpening();
  const reports = useReports(id).data;
  const findings = useFindings(id).data;
  const messages = useMessages(id).data;
  const priors = usePriors(id).data;
  const { proof, keeper, lost } = reading;
  const day = detail.study.study_date;
  const raised = (findings ?? []).some((finding) => finding.stage !== 'false_alarm');
  const latest = SIGNED.has(stage) ? reports?.at(-1) : undefined;

  const verifier = has(me, 'verifier');
  const reads = has(me, 'reporter', 'verifier');
  const own = hold?.holder === me?.id;
  const free = !hold && ((stage === 'ready' && (verifier || policy === 'double')) || (stage === 'preliminary' && verifier && author !== me?.id));
  const mayTakeOver = hold && !own && has(me, 'verifier', 'coordinator');
  const mayReturn = (proof !== null && stage === 'in_progress') || (stage === 'ready' && has(me, 'coordinator'));
  useNextAhead(proof !== null, verifier, id);

  const signed = useCallback((report: Report) => setTab(report.kind === 'preliminary' ? 'versions' : 'report'), []);
  const onLost = useCallback(() => refreshCase(id), [id]);
  const signing = useSigning({ detail, keeper, proof, critical: raised ? 'yes' : critical, raised, onLost, onSigned: signed });

  const claim = useCallback(() => {
    if (own) void opening.takeOver(id, t('reader:claim.window')).catch(() => refreshCase(id));
    else void opening.claim(id).then(() => refreshCase(id));
  }, [own, opening, id, t]);

  useCaseKeys(
    useMemo(
      () => ({
        signAndNext: () => signing.ask(true),
        save: () => void keeper?.save(),
        template: (index: number) => editor.current?.template(index),
        toggleFocus: () => {
          const typing = document.activeElement instanceof HTMLTextAreaElement;
          setFace(typing ? 'images' : 'report');
          if (typing) (document.activeElement as HTMLElement).blur();
          if (typing) images.current?.focus();
          else {
            setTab('report');
            requestAnimationFrame(() => editor.current?.focus());
          }
        },
        critical: () => proof && onOpen('critical'),
      }),
      [signing, keeper, proof, onOpen],
    ),
    true,
  );

  const report = keeper && !SIGNED.has(stage) ? (
    <Editor
      ref={editor}
      keeper={keeper}
      modality={modality}
      bodyPart={detail.study.body_part ?? null}
      readOnly={proof === null}
      preliminary={policy === 'double' && stage === 'in_progress'}
      busy={signing.busy}
      onSign={signing.ask}
    />
  ) : latest ? (
    <div>
      <ReportView id={latest.id} />
      {verifier && (
        <Button style={{ marginTop: 12 }} onClick={() => onOpen('addendum')}>
          {t('reader:addendum.title')}
        </Button>
      )}
    </div>
  ) : proof && reading.problem ? (
    <Trouble error={reading.problem} retry={reading.retry} />
  ) : proof ? (
    <Skeleton active />
  ) : reports && reports.length > 0 ? (
    <ReportView id={(reports.at(-1) as { id: string }).id} />
  ) : (
    <p className="quiet">{own ? t('reader:case.elsewhere') : free && reads ? t('reader:case.claimFirst') : t('reader:case.lookOnly')}</p>
  );

  const count = (word: string, number: number | undefined) => (number ? `${word} (${number})` : word);
  const panes = [
    { key: 'report', label: t('reader:pane.report'), children: report },
    { key: 'request', label: t('reader:pane.request'), children: <Request detail={detail} /> },
    { key: 'priors', label: count(t('reader:pane.priors'), priors && inTime(priors, day).before.length), children: <Priors id={id} day={day} /> },
    { key: 'discussion', label: count(t('reader:pane.discussion'), messages?.length), children: <Discussion id={id} /> },
    { key: 'versions', label: count(t('reader:pane.versions'), reports?.length), children: <Versions id={id} writing={proof && keeper ? keeper.now().text : null} /> },
  ];
  const pane = (
    <section className="case-pane" aria-label={t('reader:pane.label')}>
      <Tabs
        size="small"
        activeKey={tab}
        onChange={setTab}
        items={panes}
        renderTabBar={narrow ? () => <Select value={tab} aria-label={t('reader:pane.label')} options={panes.map(({ key, label }) => ({ value: key, label }))} onChange={setTab} style={{ margin: '6px 0' }} /> : undefined}
      />
    </section>
  );
  const viewer = (
    <div className="case-view" ref={images} tabIndex={-1}>
      <CaseViewer detail={detail} proof={proof} report={latest?.id ?? null} onSeen={onSeen} />
    </div>
  );

  return (
    <>
      <CaseBar detail={detail} held={proof !== null} mayReturn={mayReturn} onHandBack={() => onOpen('handBack')} onReturn={() => onOpen('return')} onCritical={() => onOpen('critical')}>
        {!proof && !lost && own && (
          <Button size="small" type="primary" loading={opening.busy === id} onClick={claim}>
            {t('reader:claim.here')}
          </Button>
        )}
        {!proof && !lost && free && reads && (
          <Button size="small" type="primary" loading={opening.busy === id} onClick={claim}>
            {stage === 'preliminary' ? t('reader:act.verify') : t('reader:act.claim')}
          </Button>
        )}
        {!proof && mayTakeOver && (
          <Button size="small" onClick={() => onOpen('takeOver')}>
            {t('reader:act.takeOver')}
          </Button>
        )}
      </CaseBar>
      <Asked detail={detail} />
      <div className="case-notes">
        <Notes reading={reading} detail={detail} me={me?.id ?? ''} mayClaim={own || (free && reads)} busy={opening.busy === id} onClaim={claim} />
        <Findings id={id} may={reads} />
      </div>
      <div className="case-body">
        {narrow ? (
          <>
            <Segmented block value={face} onChange={setFace} options={[{ value: 'images' as const, label: t('reader:pane.images') }, { value: 'report' as const, label: t('reader:pane.report') }]} />
            <div style={{ flex: 1, minHeight: 0 }}>{face === 'images' ? viewer : pane}</div>
          </>
        ) : (
          <Split name="case" label={t('reader:pane.split')} standard={64} first={viewer} second={pane} />
        )}
      </div>
      <ReturnDialog
        open={open === 'return'}
        id={id}
        modality={modality}
        proof={proof}
        onReturned={() => {
          keeper?.done();
          dropProof(id);
          void navigate({ to: '/queue' });
        }}
        onClose={() => onOpen(null)}
      />
      <CriticalDialog open={open === 'critical'} id={id} modality={modality} clinic={detail.clinic_name} onRaised={() => onOpen(null)} onClose={() => onOpen(null)} />
      <Addendum id={id} modality={modality} bodyPart={detail.study.body_part ?? null} open={open === 'addendum'} onClose={() => onOpen(null)} />
      <ConfirmText
        open={open === 'handBack'}
        title={t('reader:handBack.title')}
        explain={t('reader:handBack.explain')}
        label={t('reader:handBack.reason')}
        action={t('reader:handBack.button')}
        onDone={async (reason) => {
          if (!proof) return;
          await keeper?.save();
          await releaseCase(id, proof, reason);
          keeper?.done();
          dropProof(id);
          void navigate({ to: '/queue' });
        }}
        onClose={() => onOpen(null)}
      />
      <ConfirmText
        open={open === 'takeOver'}
        title={t('reader:takeOver.title')}
        explain={t('reader:takeOver.explain', { name: detail.holder_name ?? '' })}
        label={t('reader:takeOver.reason')}
        action={t('reader:act.takeOver')}
        danger
        onDone={async (reason) => {
          await opening.takeOver(id, reason);
          refreshCase(id);
        }}
        onClose={() => onOpen(null)}
      />
      {keeper && (
        <SignDialog
          open={signing.asking !== null}
          detail={detail}
          text={keeper.now().text}
          warnings={signing.warnings}
          critical={raised ? 'yes' : critical}
          raised={raised}
          seen={seen.current}
          names={{ reporter: stage === 'verifying' ? (detail.preliminary_by_name ?? reports?.at(-1)?.reporter.name ?? '') : (me?.name ?? ''), verifier: stage === 'verifying' || policy !== 'double' ? (me?.name ?? '') : null }}
          next={signing.asking?.next ?? false}
          busy={signing.busy}
          fault={signing.fault}
          onCritical={setCritical}
          onRaise={() => onOpen('critical')}
          onSign={signing.confirm}
          onClose={signing.close}
        />
      )}
    </>
  );
}

function OneCase({ id }: { id: string }) {
  const { data, error, refetch } = useCase(id);
  const [open, setOpen] = useState<string | null>(null);
  return (
    <div className="case-page">
      {error && !data && <Trouble error={error} retry={() => void refetch()} />}
      {!data && !error && <Skeleton active style={{ padding: 16 }} />}
      {data && <Room detail={data} open={open} onOpen={setOpen} />}
    </div>
  );
}

export function CasePage() {
  const { id } = useParams({ strict: false }) as { id: string };
  return <OneCase key={id} id={id} />;
}
