// An invitation, shown this once: as a link to copy and as a QR code for the phone of whoever sits beside.
import { Alert, Form, Input, Modal } from 'antd';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { Copy } from '@/shared/Copy';
import { QrCode } from '@/shared/QrCode';
import { moment } from '@/shared/time';

import { isLoopback, pagesAddress, useConnection } from './address';

export interface Invitation {
  token: string;
  expires_at: number;
}

/** The name of the host in an address; empty where it is none. */
function hostIn(address: string): string {
  return /^https?:\/\/[^/?#]+\/?$/.test(address) && URL.canParse(address) ? new URL(address).hostname : '';
}

export function InvitationLink({ shown, onClose }: { shown: { name: string; invitation: Invitation } | null; onClose: () => void }) {
  const { t } = useTranslation(['admin', 'common']);
  const connection = useConnection();
  const [typed, setTyped] = useState<string | null>(null);
  const address = typed ?? pagesAddress(connection.data);
  const host = hostIn(address);
  // Behind the # the secret reaches no server's log.
  const link = shown ? `${address.replace(/\/+$/, '')}/invite#${shown.invitation.token}` : '';
  return (
    <Modal open={shown !== null} title={shown ? t('admin:invitation.title', { name: shown.name }) : ''} onCancel={onClose} onOk={onClose} cancelButtonProps={{ style: { display: 'none' } }} okText={t('admin:invitation.done')} mask={{ closable: false }} destroyOnHidden>
      {shown && (
        <>
          <Alert type="warning" showIcon title={t('admin:invitation.once')} style={{ marginBottom: 12 }} />
          {(typed !== null || isLoopback(host)) && (
            <Form layout="vertical" component={false}>
              {isLoopback(host) && <Alert type="warning" showIcon title={t('admin:address.loopback', { host })} style={{ marginBottom: 8 }} />}
              <Form.Item htmlFor="invitation-address" label={t('admin:invitation.address')} validateStatus={host === '' ? 'error' : ''} help={host === '' ? t('admin:invitation.addressWrong') : undefined} style={{ marginBottom: 12 }}>
                <Input id="invitation-address" value={address} spellCheck={false} autoCapitalize="none" onChange={(event) => setTyped(event.target.value.trim())} />
              </Form.Item>
            </Form>
          )}
          <p>{t('admin:invitation.how', { until: moment(shown.invitation.expires_at) })}</p>
          <div style={{ textAlign: 'center' }}>
            <QrCode text={link} label={t('admin:invitation.qr')} />
          </div>
          <span className="code-line">{link}</span>
          <div style={{ marginTop: 8 }}>
            <Copy text={link} label={t('admin:invitation.copy')} />
          </div>
        </>
      )}
    </Modal>
  );
}
