import { defineConfig } from 'vitest/config'

// Tests wait for conditions, so the time limits are only for what has gone wrong: real Envoys on a busy machine are slow.
export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    teardownTimeout: 20_000,
    allowOnly: false,
    passWithNoTests: false,
  },
})
