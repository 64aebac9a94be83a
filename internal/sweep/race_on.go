//go:build race

package sweep

// The race detector makes the simulated worlds some twenty times as slow, and finds in a sample what it would find in all.
const sample = 10
