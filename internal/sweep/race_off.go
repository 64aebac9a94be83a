//go:build !race

package sweep

const sample = 1
