// Keeps the failure of one part of a page from taking the rest of it along.
import { Component, type ReactNode } from 'react';

interface Props {
  children: ReactNode;
  /** What stands in its place; `again` tries once more. */
  failed: (error: unknown, again: () => void) => ReactNode;
}

export class Guard extends Component<Props, { error: unknown; broken: boolean }> {
  override state = { error: null as unknown, broken: false };

  static getDerivedStateFromError(error: unknown) {
    return { error, broken: true };
  }

  override render(): ReactNode {
    if (!this.state.broken) return this.props.children;
    return this.props.failed(this.state.error, () => this.setState({ error: null, broken: false }));
  }
}
