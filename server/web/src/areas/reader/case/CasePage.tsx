// One case.
export function CasePage() {
  return null;
}
