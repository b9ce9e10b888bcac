// How the browser side is built. For work on it: start a relay (`make run`), then
// `RELAY=http://127.0.0.1:8080 npx vite --port 5173` serves these sources and passes everything else on to the relay.
import { fileURLToPath } from 'node:url';

import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

const relay = process.env['RELAY'] ?? 'http://127.0.0.1:8080';
const passed = { target: relay, secure: false, changeOrigin: true };

// The image loader's decoders are CommonJS, which browsers only take when it is bundled.
const decoders = ['charls/decodewasmjs', 'libjpeg-turbo-8bit/decodewasmjs', 'libjxl/decodewasmjs', 'openjpeg/decodewasmjs', 'openjph/wasmjs'].map((name) => `@cornerstonejs/codec-${name}`);

export default defineConfig({
  plugins: [react()],
  resolve: { alias: { '@': fileURLToPath(new URL('./src', import.meta.url)) } },
  // Cornerstone's packages pull in what expects Node's `events`: the npm package of that name stands in for it.
  optimizeDeps: { exclude: ['@cornerstonejs/dicom-image-loader', '@bokuweb/zstd-wasm'], include: ['dicom-parser', 'events', '@cornerstonejs/codec-charls/wasmjs', ...decoders] },
  worker: { format: 'es' },
  build: {
    target: 'es2022',
    sourcemap: false,
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 4096,
    rollupOptions: { output: { assetFileNames: 'assets/[name]-[hash][extname]' } },
  },
  server: {
    strictPort: true,
    proxy: { '/api': passed, '/dicomweb': passed, '/version': passed, '/link': { ...passed, changeOrigin: false, ws: true } },
  },
});
