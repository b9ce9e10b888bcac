// An invitation, shown this once: as a link to copy and as a QR code for the phone of whoever sits beside.
import { Alert, Modal } from 'antd';
import { useTranslation } from 'react-i18next';

import { Copy } from '@/shared/Copy';
import { QrCode } from '@/shared/QrCode';
import { moment } from '@/shared/time';

export interface Invitation {
  token: string;
  expires_at: number;
}

export function InvitationLink({ shown, onClose }: { shown: { name: string; invitation: Invitation } | null; onClose: () => void }) {
  const { t } = useTranslation(['admin', 'common']);
  // Behind the # the secret reaches no server's log.
  const link = shown ? `${window.location.origin}/invite#${shown.invitation.token}` : '';
  return (
    <Modal open={shown !== null} title={shown ? t('admin:invitation.title', { name: shown.name }) : ''} onCancel={onClose} onOk={onClose} cancelButtonProps={{ style: { display: 'none' } }} okText={t('admin:invitation.done')} mask={{ closable: false }} destroyOnHidden>
      {shown && (
        <>
          <Alert type="warning" showIcon title={t('admin:invitation.once')} style={{ marginBottom: 12 }} />
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
