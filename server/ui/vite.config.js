import { defineConfig } from 'vite'
import { svelte } from '@sveltejs/vite-plugin-svelte'

// File names are fixed, so that the history of dist has few of them. The
// handler in ui.go adds what lets browsers keep them.
export default defineConfig({
  base: './',
  plugins: [svelte()],
  build: {
    target: 'es2022',
    modulePreload: false,
    assetsInlineLimit: 0,
    reportCompressedSize: false,
    rollupOptions: {
      output: {
        entryFileNames: 'app.js',
        chunkFileNames: '[name].js',
        assetFileNames: 'app[extname]',
      },
    },
  },
})
