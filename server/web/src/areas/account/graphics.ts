// What this machine can draw with.

export interface Graphics {
  webgl: boolean;
  /** The processor draws in place of a graphics card. */
  software: boolean;
  name: string;
  /** The largest side of an image that can be shown whole, in pixels; 0 without WebGL. */
  largest: number;
}

/** Asks the browser once; the context is given back at once. */
export function graphics(): Graphics {
  const context = document.createElement('canvas').getContext('webgl2');
  if (!context) return { webgl: false, software: true, name: '', largest: 0 };
  const more = context.getExtension('WEBGL_debug_renderer_info');
  const name = String(context.getParameter(more ? more.UNMASKED_RENDERER_WEBGL : context.RENDERER));
  const largest = Number(context.getParameter(context.MAX_TEXTURE_SIZE));
  context.getExtension('WEBGL_lose_context')?.loseContext();
  return { webgl: true, software: /swiftshader|llvmpipe|software|basic render/i.test(name), name, largest };
}

/** Whether the browser knows of a second screen; browsers that do not say have one as far as we know. */
export function secondScreen(): boolean {
  return (window.screen as Screen & { isExtended?: boolean }).isExtended ?? false;
}
