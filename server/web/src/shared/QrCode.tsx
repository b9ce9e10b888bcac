// A QR code as shapes of a drawing: dark on light whatever the theme, since cameras want that.
import { useMemo } from 'react';
import { encode } from 'uqr';

interface Props {
  text: string;
  /** What it is, for whoever cannot see it. */
  label: string;
  size?: number;
}

export function QrCode({ text, label, size = 200 }: Props) {
  const { side, path } = useMemo(() => {
    const code = encode(text, { ecc: 'M', border: 3 });
    const cells = code.data.flatMap((row, y) => row.map((dark, x) => (dark ? `M${x} ${y}h1v1h-1z` : '')));
    return { side: code.size, path: cells.join('') };
  }, [text]);
  return (
    <svg role="img" aria-label={label} width={size} height={size} viewBox={`0 0 ${side} ${side}`} shapeRendering="crispEdges" style={{ maxWidth: '100%' }}>
      <rect width={side} height={side} fill="#fff" />
      <path d={path} fill="#000" />
    </svg>
  );
}
