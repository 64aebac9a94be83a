package quiesce

// InPlace has the scripts of a Host look for tools, for room, for systemd, and for /sys and /proc elsewhere.
func InPlace(h *Host, path, base, systemd, root string) {
	h.place = place{path: path, base: base, systemd: systemd, root: root}
}

// Scripts gives the scripts of a Host for a lease.
func Scripts(h *Host, l Lease) (freeze, thaw string) {
	return h.place.freeze(h.plan, l), h.place.release(l)
}
