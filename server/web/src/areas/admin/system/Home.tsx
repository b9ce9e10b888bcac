// Where an administrator begins: what a new installation still needs, and how the system is.
import { CheckCircleFilled, RightCircleOutlined } from '@ant-design/icons';
import { Link } from '@tanstack/react-router';
import { Card, Skeleton } from 'antd';
import { useTranslation } from 'react-i18next';

import { PageTitle } from '@/app/PageTitle';
import { Trouble } from '@/shared/Trouble';

import { STEPS, useFirstSteps } from '../parts/firstSteps';
import { usePlaces } from '../parts/places';
import { useSystem } from './Health';
import { Lights, Sign } from './Lights';
import { lightsOf, overall } from './status';

export function Home() {
  const { t } = useTranslation(['admin', 'common', 'shared']);
  const { error, again } = usePlaces();
  const steps = useFirstSteps();
  const system = useSystem();
  const next = steps?.find((step) => !step.done && !step.optional);
  const lights = system.data ? lightsOf(system.data) : [];
  const level = overall(lights);
  return (
    <div className="page">
      <PageTitle title={t('admin:home.title')} lead={steps ? t(next ? 'admin:home.new' : 'admin:home.ready') : undefined} />
      {error && <Trouble error={error} retry={again} />}
      {!steps && !error && <Skeleton active />}
      <div style={{ display: 'grid', gap: 16, gridTemplateColumns: 'repeat(auto-fit, minmax(min(420px, 100%), 1fr))', alignItems: 'start' }}>
        {steps && (
          <Card size="small" title={t('admin:home.steps')}>
            <ol style={{ listStyle: 'none', margin: 0, padding: 0 }}>
              {steps.map((step, index) => (
                <li key={step.name} style={{ display: 'flex', gap: 12, padding: '12px 0', borderTop: index > 0 ? '1px solid light-dark(#eee, #2f353b)' : 0 }}>
                  {step.done ? <CheckCircleFilled role="img" className="state-good" style={{ fontSize: 22 }} aria-label={t('admin:home.done')} /> : <RightCircleOutlined role="img" style={{ fontSize: 22 }} aria-label={t('admin:home.todo')} />}
                  <div>
                    <b>
                      {index + 1}. {t(`admin:home.step.${step.name}`)}
                    </b>
                    <div className="quiet">{t(`admin:home.help.${step.name}`)}</div>
                    <Link to={STEPS[step.name]} className={step === next ? 'next-step' : undefined}>
                      {t(`admin:home.do.${step.name}`)}
                    </Link>
                    {step.name === 'link' && (
                      <>
                        {' · '}
                        <Link to="/devices">{t('admin:home.do.device')}</Link>
                      </>
                    )}
                  </div>
                </li>
              ))}
            </ol>
          </Card>
        )}
        <Card
          size="small"
          title={
            <span style={{ display: 'inline-flex', gap: 8, alignItems: 'center' }}>
              {system.data && <Sign level={level} />} {t('admin:health.title')}
            </span>
          }
          extra={<Link to="/health">{t('admin:home.more')}</Link>}
        >
          {system.isError && <Trouble error={system.error} retry={() => void system.refetch()} />}
          {system.data && (level === 'good' ? t('admin:health.overall.good') : <Lights lights={lights.filter((light) => light.level !== 'good')} />)}
        </Card>
      </div>
    </div>
  );
}
