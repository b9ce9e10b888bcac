// Where files come in: by dropping them anywhere, or by one of two buttons.
import { FileZipOutlined, FolderOpenOutlined, InboxOutlined } from '@ant-design/icons';
import { Button } from 'antd';
import { useEffect, useRef } from 'react';
import { useTranslation } from 'react-i18next';

import { takeFiles, takeHandles } from '@/upload';

interface Picker {
  showDirectoryPicker?(how: { id: string; mode: 'read' }): Promise<FileSystemDirectoryHandle>;
}

interface Props {
  /** Something is held over the page. */
  over: boolean;
  /** Nothing else is on the page. */
  large: boolean;
}

export function UploadDrop({ over, large }: Props) {
  const { t } = useTranslation('technician');
  const folder = useRef<HTMLInputElement>(null);
  const files = useRef<HTMLInputElement>(null);
  useEffect(() => folder.current?.setAttribute('webkitdirectory', ''), []);

  const pickFolder = async () => {
    const { showDirectoryPicker } = window as Window & Picker;
    if (!showDirectoryPicker) {
      folder.current?.click();
      return;
    }
    try {
      takeHandles([await showDirectoryPicker.call(window, { id: 'studies', mode: 'read' })]);
    } catch (error) {
      // Nothing was picked; a browser that may not show the picker has the input.
      if (error instanceof DOMException && error.name !== 'AbortError') folder.current?.click();
    }
  };
  const taken = (input: HTMLInputElement) => {
    // The list is emptied with the input, and to copy thousands of files out of it at once would hold the page up.
    if (input.files && input.files.length > 0) void takeFiles(input.files).then(() => (input.value = ''));
  };
  return (
    <div className={`upload-drop${over ? ' upload-over' : ''}${large ? ' upload-large' : ''}`}>
      <InboxOutlined aria-hidden className="upload-drop-sign" />
      <div>
        <strong>{over ? t('technician:drop.now') : t('technician:drop.title')}</strong>
        <p className="quiet">{t('technician:drop.explain')}</p>
      </div>
      <div className="upload-drop-buttons">
        <Button type={large ? 'primary' : 'default'} size={large ? 'large' : 'middle'} icon={<FolderOpenOutlined />} onClick={() => void pickFolder()}>
          {t('technician:drop.folder')}
        </Button>
        <Button size={large ? 'large' : 'middle'} icon={<FileZipOutlined />} onClick={() => files.current?.click()}>
          {t('technician:drop.files')}
        </Button>
      </div>
      <input ref={folder} type="file" multiple hidden aria-label={t('technician:drop.folder')} data-testid="folder" onChange={(event) => taken(event.currentTarget)} />
      <input ref={files} type="file" multiple hidden aria-label={t('technician:drop.files')} data-testid="files" onChange={(event) => taken(event.currentTarget)} />
    </div>
  );
}
