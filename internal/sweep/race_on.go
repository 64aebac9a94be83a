//go:build race

package sweep

// The race detector makes the simulated worlds some ten times as slow, so a sample of the experiments is run under it; the line that a sweep
// prints says so.
const sample = 10
