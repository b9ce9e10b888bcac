// CharLS has no types of its own; `codecs.ts` says what is used of it.
declare module '@cornerstonejs/codec-charls/wasmjs' {
  const factory: (options: object) => Promise<unknown>;
  export default factory;
}
