// The small picture of a study, or a sign where it cannot be drawn.
import { FileImageOutlined } from '@ant-design/icons';
import { useEffect, useRef } from 'react';
import { useTranslation } from 'react-i18next';

import { pictureOf } from '@/upload';

export function StudyPicture({ study }: { study: string }) {
  const { t } = useTranslation('technician');
  const canvas = useRef<HTMLCanvasElement>(null);
  const picture = pictureOf(study);
  useEffect(() => {
    if (!picture || !canvas.current) return;
    canvas.current.width = picture.width;
    canvas.current.height = picture.height;
    canvas.current.getContext('2d')?.putImageData(new ImageData(picture.pixels, picture.width, picture.height), 0, 0);
  }, [picture]);
  return (
    <div className="study-picture">
      {picture ? <canvas ref={canvas} role="img" aria-label={t('technician:study.picture')} /> : <FileImageOutlined role="img" aria-label={t('technician:study.noPicture')} />}
    </div>
  );
}
