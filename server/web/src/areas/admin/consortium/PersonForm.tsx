// The form of a person: name, account, roles by organization, modalities.
import { DeleteOutlined, PlusOutlined } from '@ant-design/icons';
import { Button, Form, Input, Select, Space } from 'antd';
import { useTranslation } from 'react-i18next';

import type { Schemas } from '@/api/client';

import { EditDialog } from '../parts/EditDialog';
import { Modalities } from '../parts/Modalities';
import { choicesOf, usePlaces } from '../parts/places';
import type { Invitation } from './InvitationLink';

export type Person = Schemas['PersonBody'] & { invitation?: Invitation | null; invited?: boolean; second_factor?: boolean };

export interface Typed {
  login: string;
  name: string;
  modalities?: string[];
  grants: { organization: string; role: string }[];
}

const ROLES = ['technician', 'clinic_doctor', 'reporter', 'verifier', 'coordinator', 'administrator', 'auditor'] as const;
/** Roles that make sense at a clinic, and those at a centre. */
const AT_CLINIC: readonly string[] = ['technician', 'clinic_doctor', 'administrator'];

interface Props {
  open: boolean;
  person: Person | null;
  onSend: (typed: Typed, key: string) => Promise<void>;
  onClose: () => void;
  onStale: () => void;
}

export function PersonForm({ open, person, onSend, onClose, onStale }: Props) {
  const { t } = useTranslation(['admin', 'common', 'shared']);
  const { places } = usePlaces();
  const kindOf = (id: string | undefined) => places.find((place) => place.id === id)?.kind;
  const rolesAt = (id: string | undefined) => {
    const kind = kindOf(id);
    const fitting = kind === 'township_clinic' || kind === 'village_clinic' ? AT_CLINIC : ROLES;
    return fitting.map((role) => ({ value: role, label: t(`common:role.${role}`) }));
  };
  const initial: Partial<Typed> = person
    ? { name: person.name, login: person.login, modalities: person.modalities, grants: person.grants.map(({ organization, role }) => ({ organization, role })) }
    : { grants: [{} as Typed['grants'][number]] };
  return (
    <EditDialog<Typed>
      open={open}
      title={person ? person.name : t('admin:people.create')}
      explain={person ? undefined : t('admin:people.createHelp')}
      action={person ? t('admin:save') : t('admin:people.send')}
      initial={initial}
      onSend={onSend}
      onClose={onClose}
      onStale={onStale}
      width={640}
    >
      {(form) => (
        <>
          <Form.Item name="name" label={t('admin:people.name')} rules={[{ required: true, whitespace: true, message: t('admin:form.required') }]}>
            <Input maxLength={100} autoFocus autoComplete="off" />
          </Form.Item>
          <Form.Item
            name="login"
            label={t('admin:people.login')}
            extra={t('admin:people.loginHelp')}
            normalize={(value: string) => value.toLowerCase()}
            rules={[{ required: true, message: t('admin:form.required') }, { pattern: /^\s*[a-z0-9._@-]{2,64}\s*$/, message: t('admin:people.loginHelp') }]}
          >
            <Input maxLength={64} disabled={person !== null} autoCapitalize="none" autoComplete="off" spellCheck={false} />
          </Form.Item>
          <Form.List name="grants" rules={[{ validator: (_rule, value: unknown[]) => (value?.length > 0 ? Promise.resolve() : Promise.reject(new Error(t('admin:people.noRole')))) }]}>
            {(fields, { add, remove }, { errors }) => (
              <fieldset style={{ border: 0, padding: 0, margin: '0 0 16px' }}>
                <legend style={{ padding: 0, marginBottom: 4 }}>{t('admin:people.roles')}</legend>
                {fields.map((field) => (
                  <Space key={field.key} align="start" wrap style={{ display: 'flex' }}>
                    <Form.Item name={[field.name, 'organization']} rules={[{ required: true, message: t('admin:form.required') }]} style={{ marginBottom: 8 }}>
                      <Select aria-label={t('admin:column.organization')} placeholder={t('admin:column.organization')} showSearch={{ optionFilterProp: 'label' }} options={choicesOf(places)} style={{ width: 240 }} />
                    </Form.Item>
                    <Form.Item noStyle shouldUpdate>
                      {() => (
                        <Form.Item name={[field.name, 'role']} rules={[{ required: true, message: t('admin:form.required') }]} style={{ marginBottom: 8 }}>
                          <Select aria-label={t('admin:people.role')} placeholder={t('admin:people.role')} options={rolesAt(form.getFieldValue(['grants', field.name, 'organization']) as string | undefined)} style={{ width: 160 }} />
                        </Form.Item>
                      )}
                    </Form.Item>
                    <Button type="text" icon={<DeleteOutlined />} aria-label={t('admin:people.removeRole')} onClick={() => remove(field.name)} />
                  </Space>
                ))}
                <Button size="small" icon={<PlusOutlined />} onClick={() => add({})}>
                  {t('admin:people.addRole')}
                </Button>
                <Form.ErrorList errors={errors} />
              </fieldset>
            )}
          </Form.List>
          <Form.Item noStyle shouldUpdate>
            {() => {
              const grants = (form.getFieldValue('grants') ?? []) as { role?: string }[];
              return grants.some((grant) => grant?.role === 'reporter' || grant?.role === 'verifier') ? <Modalities label={t('admin:people.modalities')} help={t('admin:people.modalitiesHelp')} /> : null;
            }}
          </Form.Item>
        </>
      )}
    </EditDialog>
  );
}
