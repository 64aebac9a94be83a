package swap_test

import (
	"os"
	"runtime/debug"
	"testing"
)

// The sweeps make thousands of small worlds; collecting them less often saves a third of the time.
func TestMain(m *testing.M) {
	debug.SetGCPercent(800)
	os.Exit(m.Run())
}
