// The product's mark: an image on its way, and its name.
export function Logo({ name = true }: { name?: boolean }) {
  return (
    <span style={{ display: 'inline-flex', alignItems: 'center', gap: 8, fontWeight: 600, whiteSpace: 'nowrap' }}>
      <svg width="24" height="24" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
        <rect width="24" height="24" rx="6" fill="#0b6b6f" />
        <path d="M4 13h4l2-6 4 11 2-5h4" fill="none" stroke="#fff" strokeWidth="2" strokeLinecap="round" strokeLinejoin="round" />
      </svg>
      {name && <span>medrelay</span>}
    </span>
  );
}
